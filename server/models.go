package server

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

// OpenModel opens a checkpoint, whose name is that of the file.
func OpenModel(path string) (Model, error) {
	b, _, err := checkpoint.OpenModel(path)
	if err != nil {
		return Model{}, err
	}
	m, err := forecast.NewModel(b)
	return Model{Name: trimExt(filepath.Base(path)), Model: m}, err
}

// ReadModels opens the checkpoints of a folder and of the folders in it, those that
// went through most stages first. A name is the path in the folder, with slashes,
// without the extension. What is no model to forecast with is passed over, with the
// reason in skipped; a tokenizer without one. Without a model it fails with
// [ErrNoModels].
func ReadModels(dir string) (models []Model, skipped []error, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && path != dir
		switch {
		case d.IsDir() && hidden:
			return fs.SkipDir
		case hidden || !d.Type().IsRegular() || trimExt(path) == path:
			return nil
		}
		m, err := OpenModel(path)
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
		inside, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		m.Name = trimExt(filepath.ToSlash(inside))
		models = append(models, m)
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, skipped, fmt.Errorf("server: %s: %w: the folder does not exist", dir, ErrNoModels)
	case err != nil:
		return nil, skipped, fmt.Errorf("server: %s: %w", dir, err)
	case len(models) == 0:
		return nil, skipped, fmt.Errorf("server: %s: %w", dir, ErrNoModels)
	}
	slices.SortStableFunc(models, func(a, b Model) int {
		return cmp.Or(-cmp.Compare(len(a.Bundle.Lineage), len(b.Bundle.Lineage)), strings.Compare(a.Name, b.Name))
	})
	return models, skipped, nil
}

// trimExt cuts the extensions of checkpoints.
func trimExt(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path, ".safetensors"), ".pt")
}
