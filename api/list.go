package api

import (
	"context"
	"slices"
	"time"

	"github.com/micro-quant/mqc/market"
)

// Assets lists the assets, as of a date.
func (s *Service) Assets(_ context.Context, q *AssetQuery) (*AssetList, error) {
	if err := check(*q); err != nil {
		return nil, err
	}
	end, err := parseEnd("as_of", q.AsOf)
	if err != nil {
		return nil, err
	}
	list := &AssetList{Assets: []Asset{}}
	for _, name := range s.AssetNames() {
		c := until(s.assets[name].Candles, end)
		if len(c) == 0 {
			list.Later = append(list.Later, name)
			continue
		}
		last := c[len(c)-1]
		list.Assets = append(list.Assets, Asset{name, s.assets[name].Interval.String(), len(c), c[0].Time, last.Time, last.Close})
	}
	return list, nil
}

// Candles lists the newest candles of an asset between two times.
func (s *Service) Candles(_ context.Context, q *CandleQuery) (*CandleList, error) {
	if err := check(*q); err != nil {
		return nil, err
	}
	series, err := s.asset(q.Asset)
	if err != nil {
		return nil, err
	}
	from, err := parseStart("from", q.From)
	if err != nil {
		return nil, err
	}
	to, err := parseEnd("to", q.To)
	if err != nil {
		return nil, err
	}
	c := until(series.Candles, to)
	c = c[indexAfter(c, from):]
	return &CandleList{q.Asset, series.Interval.String(), len(c), candlesOf(c[max(0, len(c)-q.Limit):])}, nil
}

// Models lists the models, with what each has seen, and the baselines.
func (s *Service) Models() *ModelList {
	list := &ModelList{Default: s.config.Models[0].Name, Baselines: BaselineNames()}
	for _, m := range s.config.Models {
		b := m.Bundle
		info := ModelInfo{
			Name: m.Name, SHA256: b.Hash, Interval: b.Interval, Parameters: len(b.Model.Params), Vocabulary: b.Model.Vocab, Window: b.Model.SeqLen,
			Calibrated: b.Calibration != nil, Calibration: b.Calibration,
			ValFrom: b.Split.ValFrom, TestFrom: b.Split.TestFrom, Fit: b.Fit, Selected: b.Selected,
		}
		if b.Calibration != nil {
			on := b.CalibratedOn()
			info.CalibratedOn = &on
		}
		for _, step := range b.Lineage {
			info.Stages = append(info.Stages, step.Stage)
		}
		list.Models = append(list.Models, info)
	}
	return list
}

func (s *Service) asset(name string) (*market.Series, error) {
	series, ok := s.assets[name]
	if !ok {
		return nil, unknown("no asset %q: GET /v1/assets lists them", name)
	}
	return series, nil
}

// parseEnd reads a date, which is known as a whole, or a time as the first instant
// that is not: zero if text is empty.
func parseEnd(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, refuse("%s %q: want a date such as 2024-06-28 or a time such as 2024-06-28T14:30:00Z", name, text)
	}
	return t.Add(1), nil
}

// parseStart reads a date or a time as the first instant of it: zero if text is empty.
func parseStart(name, text string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	end, err := parseEnd(name, text)
	if err != nil || end.IsZero() {
		return end, err
	}
	return end.Add(-1), nil
}

// until are the candles before an end; all of them before a zero one.
func until(candles []market.Candle, end time.Time) []market.Candle {
	if end.IsZero() {
		return candles
	}
	return candles[:indexAfter(candles, end)]
}

// indexAfter is the index of the first candle at or after a time.
func indexAfter(candles []market.Candle, t time.Time) int {
	i, _ := slices.BinarySearchFunc(candles, t, func(c market.Candle, t time.Time) int { return c.Time.Compare(t) })
	return i
}
