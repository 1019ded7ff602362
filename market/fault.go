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
	Rows       int  // that were read, with those at fault
	Repairable bool // Options.Repair mends all of them, and most rows are good
	Droppable  bool // Options.Drop leaves all of them out, and most rows are good
	Local      bool // all of them repeat an hour, as a local clock that is set back: Options.Zone tells the two apart
	cause      error
}

// Unwrap is [ErrDateOrder] where another order of the dates may settle it, or nil.
func (e *FaultError) Unwrap() error { return e.cause }

func (e *FaultError) Error() string {
	text := fmt.Sprintf("market: %s:%s: %s: %s", e.Path, e.Place, e.Field, e.What)
	rows, of := "rows", ""
	if e.More == 1 {
		rows = "row"
	}
	if e.mostBad() {
		of = fmt.Sprintf(", of %d", e.Rows)
	}
	switch {
	case e.Endless:
		return fmt.Sprintf("%s (and more than %d more rows at fault)", text, e.More-1)
	case e.More > 0:
		return fmt.Sprintf("%s (and %d more %s at fault%s)", text, e.More, rows, of)
	}
	return text
}

// mostBad tells a file of which the rows that are good are no sample: another
// reading, or another file, is what settles it.
func (e *FaultError) mostBad() bool { return e.More+1 > 2*(e.Rows-e.More-1) }

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

// err is nil without a fault; so many rows are good.
func (f *faults) err(good int) error {
	if f.first == nil {
		return nil
	}
	f.first.Endless = f.endless
	f.first.Rows = good + f.first.More + 1
	most := f.first.mostBad()
	f.first.Repairable = f.first.Repairable && !most
	f.first.Droppable = f.first.Droppable && !most && good >= 2
	return f.first
}
