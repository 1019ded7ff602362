package api

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Place is what a forecast is of, and what is known.
type Place struct {
	Model string `json:"model,omitempty" maxLength:"255" doc:"name of a model, as /v1/models has it; empty: the first of them"`
	Asset string `json:"asset,omitempty" maxLength:"64" doc:"name of an asset, as /v1/assets has it; beside csv, whose candles those are"`
	CSV   string `json:"csv,omitempty" doc:"candles of one asset as CSV text, instead of those of the server; they are kept for this request alone"`
	AsOf  string `json:"as_of,omitempty" maxLength:"40" doc:"last date, such as 2024-06-28, or time, such as 2024-06-28T14:30:00Z, that is known; empty: the newest" example:"2024-06-28"`
}

// Drawing is how paths are drawn.
type Drawing struct {
	Horizon     int      `json:"horizon,omitempty" minimum:"1" default:"32" doc:"candles to forecast"`
	Paths       int      `json:"paths,omitempty" minimum:"1" default:"256" doc:"paths to draw"`
	Temperature *float64 `json:"temperature,omitempty" minimum:"0" maximum:"5" doc:"1 is the model's own distribution, as calibrated, 0 its likeliest tokens; default 1"`
	TopK        int      `json:"top_k,omitempty" minimum:"0" doc:"keep the k likeliest tokens; 0 keeps all"`
	TopP        float64  `json:"top_p,omitempty" minimum:"0" maximum:"1" doc:"keep the likeliest tokens that reach this mass; 0 keeps all"`
	Seed        *uint64  `json:"seed,omitempty" doc:"of everything random: the same request with the same seed has the same answer, byte by byte; default 1"`
}

// ForecastRequest asks for the distribution of the candles to come.
type ForecastRequest struct {
	Place
	Drawing
	ReturnPaths bool `json:"return_paths,omitempty" doc:"with the closes of every path"`
}

// ScenarioRequest gives the first closes to come, or their returns.
type ScenarioRequest struct {
	Place
	Drawing
	Returns     []float64 `json:"returns,omitempty" maxItems:"1000" doc:"log returns of the first candles to come; -5% is ln 0.95 = -0.0513"`
	Closes      []float64 `json:"closes,omitempty" maxItems:"1000" doc:"closes of the first candles to come, instead of returns"`
	ReturnPaths bool      `json:"return_paths,omitempty" doc:"with the closes of every path"`
}

// ProbabilityRequest asks how likely the last close of the horizon is beyond, or
// between, prices.
type ProbabilityRequest struct {
	Place
	Drawing
	Above *float64 `json:"above,omitempty" minimum:"0" doc:"the close is above this price"`
	Below *float64 `json:"below,omitempty" minimum:"0" doc:"the close is below this price; with above: between the two"`
}

// AnaloguesRequest asks for stretches of the past that resemble the newest candles.
type AnaloguesRequest struct {
	Place
	Window  int `json:"window,omitempty" minimum:"2" maximum:"1000" default:"16" doc:"newest candles to compare with"`
	Horizon int `json:"horizon,omitempty" minimum:"1" default:"32" doc:"candles of what followed"`
	Count   int `json:"count,omitempty" minimum:"1" maximum:"50" default:"5" doc:"stretches to show"`
}

// ExplainRequest asks for the likeliest next tokens.
type ExplainRequest struct {
	Place
	Count int `json:"count,omitempty" minimum:"1" maximum:"100" default:"10" doc:"tokens to show"`
}

// CompareRequest asks for the forecast of a baseline beside that of a model.
type CompareRequest struct {
	Place
	Drawing
	Baseline    string `json:"baseline,omitempty" maxLength:"64" default:"HAR-t, pooled" doc:"one of those that /v1/models lists"`
	ReturnPaths bool   `json:"return_paths,omitempty" doc:"with the closes of every path"`
}

// AssetQuery asks for the assets.
type AssetQuery struct {
	AsOf string `query:"as_of" maxLength:"40" doc:"last date or time that is known; empty: the newest"`
}

// CandleQuery asks for candles of an asset.
type CandleQuery struct {
	Asset string `query:"asset" required:"true" maxLength:"64"`
	From  string `query:"from" maxLength:"40" doc:"first date or time"`
	To    string `query:"to" maxLength:"40" doc:"last date or time"`
	Limit int    `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"newest candles at most"`
}

// check holds a request to the bounds in its tags: over HTTP the schema has done so
// before, with an answer that lists every fault.
func check(request any) error { return checkFields(reflect.ValueOf(request)) }

func checkFields(v reflect.Value) error {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		if f.Anonymous {
			if err := checkFields(value); err != nil {
				return err
			}
			continue
		}
		if value.Kind() == reflect.Pointer {
			if value.IsNil() {
				continue
			}
			value = value.Elem()
		}
		name, _, _ := strings.Cut(f.Tag.Get("json")+f.Tag.Get("query"), ",")
		var size float64
		what := fmt.Sprintf("%s %v", name, value)
		switch value.Kind() {
		case reflect.Int:
			size = float64(value.Int())
		case reflect.Float64:
			size = value.Float()
		case reflect.String, reflect.Slice:
			size = float64(value.Len())
			what = fmt.Sprintf("%s of length %v", name, size)
		}
		for _, tag := range []string{"minimum", "maximum", "maxLength", "maxItems"} {
			text, bounded := f.Tag.Lookup(tag)
			if !bounded {
				continue
			}
			bound, err := strconv.ParseFloat(text, 64)
			switch {
			case err != nil:
				panic(err) // tags are ours
			case tag == "minimum" && !(size >= bound):
				return refuse("%s: want at least %s", what, text)
			case tag != "minimum" && !(size <= bound):
				return refuse("%s: want at most %s", what, text)
			}
		}
	}
	return nil
}
