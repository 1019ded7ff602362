package train

import (
	"context"
	"fmt"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
)

// nextReturn is pretrain and midtrain of a model without logits: the likelihood
// of the next scaled log return under a mixture of Student-t, on the windows of
// nextToken.
type nextReturn struct {
	*nextToken
	emission *tokenizer.Emission // whose law the mixture starts around
}

func newNextReturn(r Recipe, codec dataset.Codec, streams []*dataset.Stream, m *gpt.Model) (*nextReturn, error) {
	if r.Stage == SFT || r.Stage == RL {
		return nil, fmt.Errorf("train: %s draws paths of tokens: %w", r.Stage, gpt.ErrNoLogits)
	}
	if codec.Emission == nil {
		return nil, predict.ErrNoEmission
	}
	for _, s := range streams {
		if s.Returns == nil {
			return nil, fmt.Errorf("train: %s has tokens and no returns: %w", s.Asset, ErrNoCandles)
		}
	}
	tokens, err := newNextToken(r, codec.Inputs, streams, m)
	if err != nil {
		return nil, err
	}
	return &nextReturn{nextToken: tokens, emission: codec.Emission}, nil
}

func (s *nextReturn) Loss(sum Measures, doutputs, outputs []float32, b dataset.Batch, _ int) {
	losses := make([]float64, b.B*b.T)
	s.emission.Mixture().NegativeLogLikelihood(doutputs, losses, outputs, b.Returns, b.Weights, s.norm, len(losses))
	sum["loss"] += weightedMean(losses, b.Weights, s.norm)
}

// Validate gives the mean −ln p(z) of the validation part, in nats per candle of
// the scaled log return z.
func (s *nextReturn) Validate(ctx context.Context, model *gpt.Runner) (Measures, error) {
	all, err := predict.Outputs(ctx, model, s.streams, s.val)
	if err != nil {
		return nil, err
	}
	nats := 0.0
	for _, o := range all {
		z := float64(s.streams[o.Stream].Returns[o.Index])
		nats -= s.emission.Mixture().At(o.Values, 0, 1).LogPDF(z) / float64(len(all))
	}
	return Measures{"nats": nats}, nil
}
