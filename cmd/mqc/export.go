package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/export"
)

func (a *app) export() *cobra.Command {
	var path, format, out string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the model of a checkpoint for other programs: safetensors, npz, onnx",
		Long: `export writes the weights of a checkpoint, in float32, as plain safetensors or
as an archive for numpy, or weights and computation as an ONNX graph.

docs/checkpoint.md describes the files; docs/forward.py and docs/onnx.cjs run them.`,
		Example: `  mqc export --checkpoint checkpoints/best_model.pt --format onnx --out model.onnx`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				path = newestCheckpoint()
			}
			formats := strings.Join(export.Formats, ", ")
			ending := formatOf(out)
			named := slices.Contains(export.Formats, ending)
			switch {
			case format == "" && out == "":
				format = export.Formats[0]
			case format == "" && named:
				format = ending
			case format == "":
				return usagef(c, "--out %s: its name ends in no format: want --format, or one of %s", out, formats)
			case !slices.Contains(export.Formats, format):
				return usagef(c, "--format %q: want one of %s", format, formats)
			case named && ending != format:
				return usagef(c, "--format %s and --out %s: its name is that of another format", format, out)
			}
			if out == "" {
				out = "model." + format
			}
			if err := checkOut(out, path); err != nil {
				return err
			}
			b, _, err := checkpoint.OpenModel(path)
			if err != nil {
				return err
			}
			a.warnStage(b)
			if err := export.Write(out, format, b); err != nil {
				return err
			}
			if b.Calibration != nil {
				a.talk("note: the logits are not calibrated: divide them by the temperature of %.4g", b.Calibration.Temperature)
			}
			info, err := os.Stat(out)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"checkpoint": path, "sha256": b.Hash, "format": format, "out": out, "bytes": info.Size(), "parameters": len(b.Model.Params)})
			}
			a.say("%s: %s, %d parameters, %d bytes", out, format, len(b.Model.Params), info.Size())
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&path, "checkpoint", "", "checkpoint (default: the furthest stage in checkpoints/)")
	flags.StringVar(&format, "format", "", "safetensors, npz or onnx (default: as --out ends, and without it safetensors)")
	flags.StringVar(&out, "out", "", "file to write (default: model.FORMAT)")
	if err := c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(export.Formats, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is ours
	}
	return c
}

// formatOf is what the name of a file ends in.
func formatOf(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return strings.ToLower(path[i+1:])
	}
	return ""
}
