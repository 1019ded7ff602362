package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // --zone works where the system has no zones

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/micro-quant/mqc/market"
)

// reading is how candle files are to be read, as flags say it.
type reading struct {
	dateOrder, decimal, zone string
	options                  market.Options
}

func (r *reading) bind(flags *pflag.FlagSet) {
	flags.StringVar(&r.dateOrder, "date-order", "", "what 01/02/2024 means: dmy or mdy; ymd for years of two figures (default: found out, or refused)")
	flags.StringVar(&r.decimal, "decimal", "", "decimal sign: point or comma (default: found out, or refused)")
	flags.StringVar(&r.zone, "zone", "", "time zone of times that name none, and of days that begin at its midnight, such as America/New_York (default UTC)")
	flags.Float64Var(&r.options.Scale, "scale", 0, "price of one point, where prices stand in points: 1e-5 (default: prices are prices)")
	flags.BoolVar(&r.options.Adjust, "adjust", false, "multiply prices by adjusted close / close")
	flags.BoolVar(&r.options.Repair, "repair", false, "sort rows, leave out copies, widen high and low, take wrong volumes for missing,\nscale back rows in another unit where prices jump there and back")
	flags.BoolVar(&r.options.Drop, "drop", false, "leave out rows at fault")
}

// resolve turns the flags into options.
func (r *reading) resolve(c *cobra.Command) (market.Options, error) {
	o := r.options
	o.DateOrder = market.DateOrder(strings.ToLower(r.dateOrder))
	switch r.decimal {
	case "point":
		o.Decimal = "."
	case "comma":
		o.Decimal = ","
	default:
		o.Decimal = r.decimal
	}
	if r.zone != "" {
		zone, err := time.LoadLocation(r.zone)
		if err != nil {
			return o, usagef(c, "--zone %q: want the name of a time zone, such as America/New_York", r.zone)
		}
		o.Zone = zone
	}
	if c.Flags().Changed("scale") && o.Scale == 0 {
		return o, usagef(c, "--scale 0: want a positive number, such as 1e-5")
	}
	if err := o.Validate(); err != nil {
		return o, newUsageError(c, err)
	}
	return o, nil
}

// settled says which flag of the data commands makes a refused file readable,
// or nothing.
func settled(err error) string {
	var fault *market.FaultError
	switch {
	case errors.Is(err, market.ErrDateOrder):
		return "--date-order dmy or mdy settles it"
	case errors.Is(err, market.ErrDecimal):
		return "--decimal point or comma settles it"
	case !errors.As(err, &fault):
		return ""
	case fault.Local && fault.Droppable:
		return "if the times are local, --zone settles it, such as --zone America/New_York; --drop leaves out the rows at fault"
	case fault.Repairable:
		return "--repair mends it, or --drop leaves it out"
	case fault.Droppable:
		return "--drop leaves out the rows at fault"
	}
	return ""
}

// withHint adds the flag that settles a refusal to it.
func withHint(err error) error {
	if hint := settled(err); hint != "" {
		return &hintedError{err, hint}
	}
	return err
}

// sayChanges lists what --repair and --drop did.
func (a *app) sayChanges(name string, r market.Report) {
	for _, c := range r.Changes {
		a.say("%s:%d: %s: %s: %s", name, c.Line, c.Action, c.Field, c.What)
	}
}

// countChanges counts the rows that were changed and those left out.
func countChanges(r market.Report) (repaired, dropped int) {
	for _, c := range r.Changes {
		if c.Action == market.Dropped {
			dropped++
		} else {
			repaired++
		}
	}
	return repaired, dropped
}

// shortTime prints a time of a series as its interval wants it.
func shortTime(t time.Time, interval market.Interval) string {
	return t.Format(interval.Layout())
}

// share prints "1 row" or "3 rows".
func share(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
