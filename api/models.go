package api

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
)

// Model is a checkpoint, ready to draw, with the name that requests have for it.
type Model struct {
	Name string
	*forecast.Model
}

// maxModels bounds the memory of all weights together.
const maxModels = 32

// ErrNoModels says that a folder holds no checkpoint to forecast with.
var ErrNoModels = errors.New("no checkpoint to forecast with")

// OpenModel makes the checkpoint at a path ready, which open reads. Its name is the
// path in the folder dir, with slashes, without the extension; outside of dir it is
// that of the file.
func OpenModel(dir, path string, open func(path string) (*checkpoint.Bundle, error)) (Model, error) {
	b, err := open(path)
	if err != nil {
		return Model{}, err
	}
	m, err := forecast.NewModel(b)
	if err != nil {
		return Model{}, fmt.Errorf("%s: %w", path, err)
	}
	name, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(name) {
		name = filepath.Base(path)
	}
	return Model{Name: TrimExt(filepath.ToSlash(name)), Model: m}, nil
}

// ReadModels opens the checkpoints of a folder and of the folders in it, those that
// went through most stages first. What is no model to forecast with is passed over,
// with the reason in skipped; a tokenizer without one. Without a model it fails with
// [ErrNoModels].
func ReadModels(dir string, open func(path string) (*checkpoint.Bundle, error)) (models []Model, skipped []error, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && path != dir
		switch {
		case d.IsDir() && hidden:
			return fs.SkipDir
		case hidden || !d.Type().IsRegular() || TrimExt(path) == path:
			return nil
		}
		m, err := OpenModel(dir, path, open)
		if errors.Is(err, checkpoint.ErrNoModel) {
			return nil
		}
		if err != nil {
			skipped = append(skipped, err)
			return nil
		}
		if len(models) == maxModels {
			return fmt.Errorf("more than %d checkpoints: name one, or a folder with fewer", maxModels)
		}
		models = append(models, m)
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, skipped, fmt.Errorf("%s: %w: the folder does not exist", dir, ErrNoModels)
	case err != nil:
		return nil, skipped, fmt.Errorf("%s: %w", dir, err)
	case len(models) == 0:
		return nil, skipped, fmt.Errorf("%s: %w", dir, ErrNoModels)
	}
	slices.SortStableFunc(models, func(a, b Model) int {
		return cmp.Or(-cmp.Compare(len(a.Bundle.Lineage), len(b.Bundle.Lineage)), strings.Compare(a.Name, b.Name))
	})
	return models, skipped, nil
}

// TrimExt cuts the extensions of checkpoints.
func TrimExt(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path, ".safetensors"), ".pt")
}
