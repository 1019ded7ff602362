package market

import "fmt"

// remedy is what makes a file with a fault readable.
type remedy byte

const (
	byNothing remedy = iota
	byDrop           // Options.Drop
	byRepair         // Options.Repair
)

// FaultError says that rows of a file are no candles. It shows the first one
// and counts the others.
type FaultError struct {
	Path       string
	Place      string // line, row or candle, as the file counts them
	Field      string
	What       string
	More       int  // rows at fault after the first
	Endless    bool // so many that the rest was not read
	Repairable bool // Options.Repair mends all of them
	Droppable  bool // Options.Drop leaves all of them out
}

func (e *FaultError) Error() string {
	text := fmt.Sprintf("market: %s:%s: %s: %s", e.Path, e.Place, e.Field, e.What)
	switch {
	case e.Endless:
		return fmt.Sprintf("%s (and more than %d more rows at fault)", text, e.More-1)
	case e.More == 1:
		return text + " (and 1 more row at fault)"
	case e.More > 1:
		return fmt.Sprintf("%s (and %d more rows at fault)", text, e.More)
	}
	return text
}

// faults collects those of a file.
type faults struct {
	path    string
	first   *FaultError
	endless bool
}

// add takes a fault of one row.
func (f *faults) add(place string, help remedy, field, what string) {
	if f.first == nil {
		f.first = &FaultError{Path: f.path, Place: place, Field: field, What: what, Repairable: true, Droppable: true}
	} else {
		f.first.More++
	}
	f.first.Repairable = f.first.Repairable && help == byRepair
	f.first.Droppable = f.first.Droppable && help != byNothing
}

// err is nil without a fault.
func (f *faults) err() error {
	if f.first == nil {
		return nil
	}
	f.first.Endless = f.endless
	return f.first
}
