package tokenizer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/micro-quant/mqc/feature"
)

// kind is one way to make a tokenizer. A further one is a further row.
type kind struct {
	name  string
	check func(codes int) error
	fit   func(ctx context.Context, vectors []feature.Vector, codes int, seed uint64, progress func(VQProgress)) (Tokenizer, error)
	load  func(configJSON []byte, p *parts) (Tokenizer, error)
}

var kinds = []kind{
	{
		name:  KindVQVAE,
		check: func(codes int) error { return vqConfig(codes, 0).Validate() },
		fit: func(ctx context.Context, vectors []feature.Vector, codes int, seed uint64, progress func(VQProgress)) (Tokenizer, error) {
			return fitted(TrainVQVAE(ctx, vectors, vqConfig(codes, seed), progress))
		},
		load: loadVQVAE,
	},
	{
		name:  KindFSQ,
		check: func(codes int) error { return fsqConfig(codes, 0).Validate() },
		fit: func(ctx context.Context, vectors []feature.Vector, codes int, seed uint64, progress func(VQProgress)) (Tokenizer, error) {
			return fitted(TrainFSQ(ctx, vectors, fsqConfig(codes, seed), progress))
		},
		load: loadFSQ,
	},
	{
		name:  KindBSQ,
		check: func(codes int) error { return bsqConfig(codes, 0).Validate() },
		fit: func(ctx context.Context, vectors []feature.Vector, codes int, seed uint64, progress func(VQProgress)) (Tokenizer, error) {
			return fitted(TrainBSQ(ctx, vectors, bsqConfig(codes, seed), progress))
		},
		load: loadBSQ,
	},
	{
		name:  KindProduct,
		check: func(codes int) error { return productOf(codes).validate() },
		fit: func(ctx context.Context, vectors []feature.Vector, codes int, seed uint64, _ func(VQProgress)) (Tokenizer, error) {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("tokenizer: fit: %w", err)
			}
			c := productOf(codes)
			return fitted(FitProduct(vectors, c.Cells, c.Shapes, seed))
		},
		load: loadProduct,
	},
	{
		name:  KindQuantile,
		check: func(codes int) error { return quantileConfig{codes}.validate() },
		fit: func(ctx context.Context, vectors []feature.Vector, codes int, _ uint64, _ func(VQProgress)) (Tokenizer, error) {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("tokenizer: fit: %w", err)
			}
			return fitted(FitQuantile(vectors, codes))
		},
		load: loadQuantile,
	},
}

func vqConfig(codes int, seed uint64) VQConfig {
	c := DefaultVQ()
	c.Codes, c.Seed = codes, seed
	return c
}

func productOf(codes int) productConfig {
	shapes := ProductShapes(codes)
	return productConfig{Cells: codes / shapes, Shapes: shapes}
}

func fsqConfig(codes int, seed uint64) FSQConfig {
	c := DefaultFSQ()
	c.Codes, c.Seed = codes, seed
	return c
}

func bsqConfig(codes int, seed uint64) BSQConfig {
	c := DefaultBSQ()
	c.Codes, c.Seed = codes, seed
	return c
}

// fitted keeps a nil pointer from becoming a tokenizer that is not nil.
func fitted[T Tokenizer](tok T, err error) (Tokenizer, error) {
	if err != nil {
		return nil, err
	}
	return tok, nil
}

// Kinds returns the names that [Fit] takes.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

func findKind(name string) (kind, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, fmt.Errorf("tokenizer: kind %q: want %s", name, strings.Join(Kinds(), ", "))
	}
	return kinds[i], nil
}

// CheckCodes fails for a kind that does not exist, and where it cannot have so
// many codes.
func CheckCodes(kind string, codes int) error {
	k, err := findKind(kind)
	if err != nil {
		return err
	}
	return k.check(codes)
}

// Fit makes a tokenizer of a kind with its default settings from the vectors of
// training dates. It fails as [CheckCodes] and [TrainVQVAE] do. progress may be
// nil; kinds that are fitted in one pass do not call it.
func Fit(ctx context.Context, kind string, vectors []feature.Vector, codes int, seed uint64, progress func(VQProgress)) (Tokenizer, error) {
	k, err := findKind(kind)
	if err != nil {
		return nil, err
	}
	return k.fit(ctx, vectors, codes, seed, progress)
}
