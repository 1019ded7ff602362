package report

import (
	"math"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/score"
)

func gain(over string, mean, p float64) eval.Gain {
	return eval.Gain{Over: over, Test: score.Test{Mean: mean, P: p}}
}

func TestVerdictFollowsFromTheNumbers(t *testing.T) {
	const garch, har = "GARCH-t", forecast.NamePooledHAR
	for _, c := range []struct {
		name string
		e    Evidence
		want string // headline
	}{
		{
			"beats both on test",
			Evidence{Part: "test", LogScore: []eval.Gain{gain(garch, .0231, 1e-9), gain(har, .0102, .001)}},
			"beats GARCH-t by .0231 nats per candle (p < .001), and the pooled HAR-t by .0102 (p = .001)",
		},
		{
			"no skill over one",
			Evidence{Part: "test", LogScore: []eval.Gain{gain(har, .0102, .41)}},
			"no skill over the pooled HAR-t (p = .41)",
		},
		{
			"a gain over one, none over the other: the lack comes first",
			Evidence{Part: "test", LogScore: []eval.Gain{gain(garch, .02, .002), gain(har, .01, .0501)}},
			"no skill over the pooled HAR-t (p = .050); beats GARCH-t by .0200 nats per candle (p = .002)",
		},
		{
			"worse than one",
			Evidence{Part: "test", LogScore: []eval.Gain{gain(garch, .02, .5), gain(har, -.0301, .0499)}},
			"worse than the pooled HAR-t by .0301 nats per candle (p = .0499); no skill over GARCH-t (p = .50)",
		},
		{
			"a loss that is none is no skill",
			Evidence{Part: "test", LogScore: []eval.Gain{gain(garch, -.02, .2), gain(har, -.03, .999)}},
			"no skill over GARCH-t (p = .20) or the pooled HAR-t (p > .99)",
		},
		{
			"exactly at the level is no skill",
			Evidence{Part: "test", LogScore: []eval.Gain{gain(garch, .02, .05)}},
			"no skill over GARCH-t (p = .050)",
		},
		{
			"a best baseline of its own",
			Evidence{Part: "test", LogScore: []eval.Gain{gain(garch, .02, 0), gain(har, 1.5, 0), gain(eval.NameUnigram, .00001, .01)}},
			"beats GARCH-t by .0200 nats per candle (p < .001), the pooled HAR-t by 1.5000 (p < .001), and the token unigram by 1e-05 (p = .010)",
		},
		{
			"nothing to test by",
			Evidence{Part: "test", LogScore: []eval.Gain{gain(garch, .5, math.NaN())}},
			"no skill over GARCH-t (nothing to test by)",
		},
		{
			"validation",
			Evidence{Part: "val", LogScore: []eval.Gain{gain(garch, .02, .001)}},
			"beats GARCH-t by .0200 nats per candle (p = .001), on validation dates",
		},
		{
			"selected on",
			Evidence{Part: "val", Selected: true, LogScore: []eval.Gain{gain(garch, .02, .001)}},
			"beats GARCH-t by .0200 nats per candle (p = .001), on dates that early stopping or calibration has seen",
		},
		{
			"test dates selected on",
			Evidence{Part: "test", Selected: true, LogScore: []eval.Gain{gain(garch, .02, .001)}},
			"beats GARCH-t by .0200 nats per candle (p = .001), on dates that early stopping or calibration has seen",
		},
		{
			"read again",
			Evidence{Part: "test", Reading: 3, LogScore: []eval.Gain{gain(garch, .02, .001)}},
			"beats GARCH-t by .0200 nats per candle (p = .001), at reading number 3 of the test part",
		},
		{"no baselines", Evidence{Part: "test", Reading: 1}, "no verdict on skill: no baseline to compare with"},
	} {
		if got := Judge("m", c.e).Headline; got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestVerdictDetails(t *testing.T) {
	held := func(share, lo, hi float64) *eval.Interval {
		return &eval.Interval{Level: .9, Share: share, Lo: lo, Hi: hi}
	}
	for _, c := range []struct {
		name string
		e    Evidence
		want string
	}{
		{"held out", Evidence{Part: "test", Reading: 1, Targets: 6396, Dates: 640}, "Scored on 6396 candles of 640 test dates, held out from fitting and selection."},
		{"selected", Evidence{Part: "val", Selected: true, Targets: 1, Dates: 1}, "Scored on 1 candle of 1 validation dates, which early stopping or calibration has seen: a choice was made on them, so this is no held-out evidence."},
		{"validation", Evidence{Part: "val", Targets: 5, Dates: 5}, "The evidence is the test part."},
		{"often read", Evidence{Part: "test", Reading: 2}, "read 2 times"},
		{"narrow", Evidence{Part: "test", Coverage: held(.8, .79, .81)}, "The 90% interval held 80.0% of the outcomes (95% interval 79.0% to 81.0%, as if they were independent): too narrow."},
		{"wide", Evidence{Part: "test", Coverage: held(.95, .94, .96)}, "too wide."},
		{"right", Evidence{Part: "test", Coverage: held(.91, .89, .93), Calibrated: true}, "The calibrated 90% interval held 91.0% of the outcomes (95% interval 89.0% to 93.0%, as if they were independent): nothing shows that it is wrong."},
		{"direction at chance", Evidence{Part: "test", Direction: &eval.DirectionRow{Hits: .508, Count: 900, PTStat: 1, PT: .32}}, "Direction: at chance (50.8% of the signs, Pesaran–Timmermann p = .32)."},
		{"direction", Evidence{Part: "test", Direction: &eval.DirectionRow{Hits: .54, Count: 900, PTStat: 2.6, PT: .009}}, "Direction: 54.0% of the signs, more than chance if targets were independent (Pesaran–Timmermann p = .009);"},
		{"wrong direction", Evidence{Part: "test", Direction: &eval.DirectionRow{Hits: .44, Count: 900, PTStat: -2.6, PT: .009}}, "Direction: worse than chance (44.0% of the signs"},
		{"no direction", Evidence{Part: "test", Direction: &eval.DirectionRow{}}, "never leans"},
		{"variance", Evidence{Part: "test", Variance: []eval.Gain{gain(forecast.NamePooledHAR, -.1, .001)}}, "Variance of the next return: worse than the pooled HAR-t by .1000 QLIKE (p = .001)."},
		{"paths", Evidence{Part: "test", Horizon: 20, Paths: []eval.Gain{gain(forecast.NamePooledHAR, .0002, .3)}}, "Paths after 20 candles: no gain over the pooled HAR-t (p = .30)."},
		{"paths better", Evidence{Part: "test", Horizon: 20, Paths: []eval.Gain{gain(forecast.NamePooledHAR, .0002, .003)}}, "Paths after 20 candles: beats the pooled HAR-t by 2.0000 bp of CRPS (p = .003)."},
		{"missing", Evidence{Part: "test", Missing: "too few returns"}, "could not be fitted, so nothing is said of skill over them: too few returns."},
	} {
		if got := strings.Join(Judge("m", c.e).Details, "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// A rounded p never says that it lies on the other side of the level.
func TestSignificanceShowsItsSide(t *testing.T) {
	for p, want := range map[float64]string{
		.0499999: "p = .0499999", .05: "p = .050", .04: "p = .040", .0012: "p = .001",
		.09999: "p = .100", .1: "p = .10", .5: "p = .50", .001: "p = .001", .00099: "p < .001", .996: "p > .99", 1: "p > .99",
	} {
		if got := significance(p); got != want {
			t.Errorf("significance(%v) = %q, want %q", p, got, want)
		}
	}
}
