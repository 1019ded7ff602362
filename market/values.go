package market

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// isInstant reports whether a column holds times in UTC, and not those that some
// clock shows.
func isInstant(column *parquet.Column) bool {
	if column.Type().Kind() == parquet.Int96 {
		return true
	}
	logical := column.Type().LogicalType()
	if logical == nil {
		return false
	}
	stamp, isStamp := logical.Value.(*format.TimestampType)
	return isStamp && stamp.IsAdjustedToUTC
}

// decimalOf is the type of a column of decimal numbers; nil: they are no such numbers.
func decimalOf(column *parquet.Column) *format.DecimalType {
	if logical := column.Type().LogicalType(); logical != nil {
		decimal, _ := logical.Value.(*format.DecimalType)
		return decimal
	}
	return nil
}

// number is the value of a numeric column, of decimal numbers where a type for them is
// given; null is NaN.
func number(v parquet.Value, decimal *format.DecimalType) (float64, error) {
	if v.IsNull() {
		return math.NaN(), nil
	}
	var n *big.Int
	switch kind := v.Kind(); {
	case kind == parquet.Double:
		return v.Double(), nil
	case kind == parquet.Float:
		return float64(v.Float()), nil
	case kind == parquet.Int32 && decimal == nil:
		return float64(v.Int32()), nil
	case kind == parquet.Int64 && decimal == nil:
		return float64(v.Int64()), nil
	case kind == parquet.Int32:
		n = big.NewInt(int64(v.Int32()))
	case kind == parquet.Int64:
		n = big.NewInt(v.Int64())
	case decimal != nil: // bytes, the highest first, in two's complement
		b := v.ByteArray()
		if n = new(big.Int).SetBytes(b); len(b) > 0 && b[0] >= 1<<7 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	default:
		return 0, fmt.Errorf("the column holds %s, want numbers", kind)
	}
	if decimal.Scale < 0 || decimal.Scale > 38 || n.BitLen() > 128 {
		return 0, fmt.Errorf("decimal numbers of %d places, want at most 38", decimal.Scale)
	}
	x, _ := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimal.Scale)), nil)).Float64()
	return x, nil
}

// textOf writes the values of a column as a text would have them: of a time its date
// alone where it is midnight.
func textOf(column *parquet.Column) func(parquet.Value) string {
	if at := typedTime(column); at != nil {
		return func(v parquet.Value) string {
			switch at := at(v); {
			case v.IsNull():
				return ""
			case at.Equal(at.Truncate(24 * time.Hour)):
				return at.Format(time.DateOnly)
			default:
				return at.Format("2006-01-02 15:04:05.999999999")
			}
		}
	}
	if unit := timeOfDay(column); unit > 0 {
		return func(v parquet.Value) string {
			if v.IsNull() {
				return ""
			}
			return time.Time{}.Add(time.Duration(v.Int64()) * unit).Format("15:04:05.999999999")
		}
	}
	return func(v parquet.Value) string {
		if v.IsNull() {
			return ""
		}
		return v.String()
	}
}

// timeOfDay is the unit of a column whose type says that it holds times of a day; 0:
// it does not.
func timeOfDay(column *parquet.Column) time.Duration {
	logical := column.Type().LogicalType()
	if logical == nil {
		return 0
	}
	clock, isClock := logical.Value.(*format.TimeType)
	if !isClock {
		return 0
	}
	switch clock.Unit.Value.(type) {
	case *format.MilliSeconds:
		return time.Millisecond
	case *format.MicroSeconds:
		return time.Microsecond
	}
	return time.Nanosecond
}

// columnTime says how the values of a column become times.
func (t *table) columnTime(column *parquet.Column, clock *clock) (func(parquet.Value) (time.Time, error), error) {
	typed := typedTime(column)
	switch kind := column.Type().Kind(); kind {
	case parquet.Int32, parquet.Int64, parquet.Int96, parquet.ByteArray:
	default:
		return nil, fmt.Errorf("time: the column holds %s, want times", kind)
	}
	return func(v parquet.Value) (time.Time, error) {
		switch {
		case v.IsNull():
			return time.Time{}, errors.New("missing")
		case typed == nil:
			return t.timeOf(clock, v.String())
		}
		at := typed(v)
		return at, checkYear(at)
	}, nil
}

// typedTime converts the values of a column whose type says that they are
// times; nil: it does not.
func typedTime(column *parquet.Column) func(parquet.Value) time.Time {
	var logical format.LogicalTypeValue
	if l := column.Type().LogicalType(); l != nil {
		logical = l.Value
	}
	switch column.Type().Kind() {
	case parquet.Int32:
		if _, isDate := logical.(*format.DateType); isDate {
			return func(v parquet.Value) time.Time { return time.Unix(int64(v.Int32())*24*3600, 0).UTC() }
		}
	case parquet.Int64:
		stamp, isStamp := logical.(*format.TimestampType)
		if !isStamp {
			return nil
		}
		switch stamp.Unit.Value.(type) {
		case *format.MilliSeconds:
			return func(v parquet.Value) time.Time { return time.UnixMilli(v.Int64()).UTC() }
		case *format.MicroSeconds:
			return func(v parquet.Value) time.Time { return time.UnixMicro(v.Int64()).UTC() }
		}
		return func(v parquet.Value) time.Time { return time.Unix(0, v.Int64()).UTC() }
	case parquet.Int96:
		return func(v parquet.Value) time.Time { return fromInt96(v.Int96()) }
	}
	return nil
}

// fromInt96 reads nanoseconds of the day and a Julian day, as Spark writes them.
func fromInt96(v deprecated.Int96) time.Time {
	const epoch = 2440588 // Julian day of 1970-01-01
	nanos := int64(v[1])<<32 | int64(v[0])
	return time.Unix((int64(v[2])-epoch)*24*3600, nanos).UTC()
}
