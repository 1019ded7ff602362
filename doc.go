// Package mqc is a GPT for candles. The program is cmd/mqc; this page is the
// tour through the packages, in the order in which data flows.
//
//   - market: candles from files, checked, and a synthetic market with known truth
//   - market/calendar: when markets trade
//   - feed: candles from public services
//   - feature: a candle as five log moves, scaled by a volatility known before it
//   - tokenizer: one vector, one token of 512: a VQ-VAE, FSQ or BSQ
//   - dataset: one stream of tokens per asset, one calendar split for all, windows
//   - gpt, on nn, on internal/kernel: the transformer, forward and backward
//   - optim: AdamW, clipping, the learning rate
//   - predict: a model run over streams, teacher-forced or free
//   - train: four stages, one loop
//   - checkpoint: everything a model is and has seen, in one file
//   - export, torch: models to other programs, and from the original one
//   - forecast: the distribution of the candles to come
//   - analysis: what token streams are made of
//   - score, eval: how good that is, beside the baselines
//   - report: what is known of a model on one page, and its verdict
//   - api: what can be asked of models and candles, and the answers
//   - chat: the same questions in a small grammar
//   - server: both over HTTP
//   - measure: how fast the work is
//
// docs/architecture.md draws the graph, and a test keeps it.
package mqc
