package api

import (
	"math"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
)

// Levels are those of all quantiles.
var Levels = []float64{.025, .05, .1, .25, .5, .75, .9, .95, .975}

// Resolved is a request as it was understood.
type Resolved struct {
	Model       string      `json:"model"`
	Asset       string      `json:"asset"`
	CSVSHA256   string      `json:"csv_sha256,omitempty" doc:"of the candles that were posted"`
	AsOf        time.Time   `json:"as_of" doc:"time of the last known candle"`
	Horizon     int         `json:"horizon,omitempty"`
	Paths       int         `json:"paths,omitempty"`
	Sampler     gpt.Sampler `json:"sampler,omitzero" doc:"temperature as asked for; a calibrated one multiplies it"`
	Temperature float64     `json:"logits_temperature,omitempty" doc:"what logits were divided by"`
}

// Identity says what made an answer.
type Identity struct {
	Checkpoint string   `json:"checkpoint" doc:"name of the model"`
	SHA256     string   `json:"sha256" doc:"of the checkpoint"`
	Trained    string   `json:"trained_by" doc:"version of the program that wrote the checkpoint"`
	Version    string   `json:"version" doc:"of the server"`
	Config     Resolved `json:"config"`
	Seed       uint64   `json:"seed"`
}

// About heads every answer of a model.
type About struct {
	Identity   Identity  `json:"identity"`
	Asset      string    `json:"asset"`
	Interval   string    `json:"interval" example:"1d"`
	From       time.Time `json:"from" doc:"time of the last known candle"`
	LastClose  float64   `json:"last_close"`
	InFit      bool      `json:"in_fit" doc:"the model was, or may have been, fitted on what follows: it knows what came"`
	InSelected bool      `json:"in_selected" doc:"early stopping or calibration has seen what follows"`
	Warnings   []string  `json:"warnings" doc:"what makes this less than a forecast, in words"`
}

// Head is a, whatever answer it heads.
func (a *About) Head() *About { return a }

// warn adds the warnings that are not empty.
func (a *About) warn(warnings ...string) {
	for _, w := range warnings {
		if w != "" {
			a.Warnings = append(a.Warnings, w)
		}
	}
}

// Candle is one candle.
type Candle struct {
	Time   time.Time `json:"time,omitzero"`
	Open   float64   `json:"open"`
	High   float64   `json:"high"`
	Low    float64   `json:"low"`
	Close  float64   `json:"close"`
	Volume *float64  `json:"volume,omitempty"`
}

func candleOf(c market.Candle) Candle {
	out := Candle{Time: c.Time, Open: c.Open, High: c.High, Low: c.Low, Close: c.Close}
	if !math.IsNaN(c.Volume) {
		out.Volume = &c.Volume
	}
	return out
}

func candlesOf(candles []market.Candle) []Candle {
	out := make([]Candle, len(candles))
	for i, c := range candles {
		out[i] = candleOf(c)
	}
	return out
}

// Fan is the distribution of the closes to come.
type Fan struct {
	Levels     []float64       `json:"levels" doc:"of the quantiles of every step"`
	Steps      []forecast.Step `json:"steps" doc:"the close after every candle"`
	Volatility float64         `json:"volatility" doc:"standard deviation of the log return over the whole horizon, across paths"`
	Calibrated bool            `json:"calibrated" doc:"steps have intervals that held their share of the outcomes on validation"`
	Closes     [][]float64     `json:"closes,omitempty" doc:"of every path, with return_paths"`
}

// Density is the exact law of the next close, without paths.
type Density struct {
	Temperature float64   `json:"temperature" doc:"of the logits: that of the calibration, or 1"`
	Levels      []float64 `json:"levels"`
	Quantiles   []float64 `json:"quantiles" doc:"of the next close"`
	PUp         float64   `json:"p_up" doc:"probability of a close above the last one"`
}

// Forecast answers a [ForecastRequest].
type Forecast struct {
	About
	Fan
	PerCandle float64  `json:"volatility_per_candle" doc:"volatility over the root of the horizon"`
	PerYear   *float64 `json:"volatility_per_year,omitempty" doc:"at that rate, with as many candles as the last 365 days had, where the asset is that old"`
	Past      *float64 `json:"past_volatility,omitempty" doc:"root of the sum of the squared log returns of as many known candles as the horizon, where there are so many"`
	Density   *Density `json:"density,omitempty" doc:"exact law of the next close, where the checkpoint knows the returns of its tokens"`
	Realised  []Candle `json:"realised" doc:"candles that followed, where the data have them"`
}

// Progress is a forecast of the paths that have been drawn so far.
type Progress struct {
	Paths  int             `json:"paths" doc:"drawn so far"`
	Levels []float64       `json:"levels" doc:"of the quantiles of every step"`
	Steps  []forecast.Step `json:"steps"`
}

// Scenario answers a [ScenarioRequest].
type Scenario struct {
	About
	Given         []float64 `json:"given" doc:"log returns"`
	Surprise      float64   `json:"surprise" doc:"-ln of the joint density of the given returns under the model, in nats"`
	Effective     float64   `json:"effective" doc:"how many equally weighted paths the conditional ones are worth"`
	Conditional   Fan       `json:"conditional" doc:"given those returns"`
	Unconditional Fan       `json:"unconditional" doc:"given nothing, by the same seed"`
	Realised      []Candle  `json:"realised" doc:"candles that followed, where the data have them"`
}

// Probability answers a [ProbabilityRequest].
type Probability struct {
	About
	Until time.Time `json:"until" doc:"time of the candle whose close is meant"`
	P     float64   `json:"p" doc:"share of the paths"`
	Lo    float64   `json:"lo" doc:"Wilson's 95% interval for what so many paths may be off the model"`
	Hi    float64   `json:"hi"`
	Exact *float64  `json:"exact,omitempty" doc:"of a horizon of 1: by the exact density of the model's own distribution"`
}

// Analogue is a stretch of the past, with what followed.
type Analogue struct {
	Asset    string    `json:"asset"`
	Distance float64   `json:"distance" doc:"root mean square difference of the log returns, in units of the volatility known before each"`
	Window   []Candle  `json:"window"`
	Followed []Candle  `json:"followed"`
	Returns  []float64 `json:"returns" doc:"cumulative log returns of what followed"`
}

// Analogues answers an [AnaloguesRequest].
type Analogues struct {
	About
	Before    time.Time  `json:"before" doc:"what followed a stretch ended before: with the training dates of the model, or with what is known"`
	Analogues []Analogue `json:"analogues" doc:"the nearest first"`
}

// Likely is a token that may come next.
type Likely struct {
	Token       int32   `json:"token"`
	Probability float64 `json:"probability" doc:"at temperature 1"`
	Candle      Candle  `json:"candle" doc:"what it decodes to after the last close"`
	Return      float64 `json:"return" doc:"log return of that candle"`
}

// Explain answers an [ExplainRequest].
type Explain struct {
	About
	Tokens  []Likely `json:"tokens" doc:"the likeliest first"`
	Entropy float64  `json:"entropy" doc:"of the next token, over all of them, in nats"`
	Density *Density `json:"density,omitempty" doc:"exact law of the next close, where the checkpoint knows the returns of its tokens"`
}

// Compare answers a [CompareRequest].
type Compare struct {
	About
	Baseline     string    `json:"baseline"`
	FittedBefore time.Time `json:"fitted_before" doc:"the baseline, on the server's assets: the end of the model's training dates, or of what is known"`
	Model        Fan       `json:"model"`
	Other        Fan       `json:"other" doc:"of the baseline"`
	Realised     []Candle  `json:"realised" doc:"candles that followed, where the data have them"`
}

// AssetList answers an [AssetQuery].
type AssetList struct {
	Assets []Asset  `json:"assets" doc:"that have candles until then"`
	Later  []string `json:"later,omitempty" doc:"names of those that have none"`
}

// Asset is what there is of one.
type Asset struct {
	Name     string    `json:"name"`
	Interval string    `json:"interval" example:"1d"`
	Candles  int       `json:"candles"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Close    float64   `json:"close" doc:"the last one"`
}

// CandleList answers a [CandleQuery].
type CandleList struct {
	Asset    string   `json:"asset"`
	Interval string   `json:"interval" example:"1d"`
	Total    int      `json:"total" doc:"candles between from and to; the newest of them are here"`
	Candles  []Candle `json:"candles"`
}

// ModelList is all models.
type ModelList struct {
	Default   string      `json:"default" doc:"model of requests that name none"`
	Models    []ModelInfo `json:"models"`
	Baselines []string    `json:"baselines" doc:"for /v1/compare"`
}

// ModelInfo is what a model is and has seen.
type ModelInfo struct {
	Name         string                  `json:"name"`
	SHA256       string                  `json:"sha256" doc:"of the checkpoint"`
	Stages       []string                `json:"stages" doc:"of training, the first one first"`
	Interval     string                  `json:"interval" doc:"of the candles that it knows"`
	Parameters   int                     `json:"parameters"`
	Vocabulary   int                     `json:"vocabulary"`
	Window       int                     `json:"window" doc:"tokens that it sees at most"`
	Calibrated   bool                    `json:"calibrated"`
	Calibration  *checkpoint.Calibration `json:"calibration,omitempty" doc:"how far its probabilities can be taken at their word"`
	CalibratedOn *checkpoint.Range       `json:"calibrated_on,omitempty" doc:"the dates that show it"`
	ValFrom      time.Time               `json:"val_from" doc:"training dates end before"`
	TestFrom     time.Time               `json:"test_from" doc:"validation ends before"`
	Fit          []checkpoint.Range      `json:"fit" doc:"what was fitted"`
	Selected     []checkpoint.Range      `json:"selected" doc:"what early stopping and calibration saw"`
}
