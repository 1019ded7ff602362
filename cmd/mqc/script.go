package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// scripts maps the Python files that the specification runs, by their base
// names, to command lines.
var scripts = map[string][]string{
	"train.py":                {"train"},
	"base_train.py":           {"train"},
	"stage1_pretrain.py":      {"train"},
	"midtrain.py":             {"stage2"},
	"stage2_sft.py":           {"stage2"}, // the specification calls this stage midtrain
	"sft.py":                  {"stage3"},
	"stage3_sft.py":           {"stage3"},
	"rl_finetune.py":          {"stage4"},
	"stage4_rl.py":            {"stage4"},
	"evaluate.py":             {"eval"},
	"eval.py":                 {"eval"},
	"base_eval.py":            {"eval"},
	"evaluate_predictions.py": {"eval", "--level", levelPath},
	"generate.py":             {"generate"},
	"sample.py":               {"generate"},
	"base_sample.py":          {"generate"},
	"predict.py":              {"forecast"},
	"examples.py":             {"examples"},
	"token_analysis.py":       {"analyze"},
	"decode_tokens.py":        {"decode"},
	"tokenizer.py":            {"tokenize"},
	"tokenize_data.py":        {"tokenize"},
}

// libraries are files of the specification that are no programs.
var libraries = map[string]string{
	"gpt_model.py": "the transformer is package gpt; mqc info CHECKPOINT shows a model's architecture",
	"gpt.py":       "the transformer is package gpt; mqc info CHECKPOINT shows a model's architecture",
	"data.py":      "windows and batches are package dataset",
	"ckpt.py":      "checkpoints are package checkpoint; mqc info CHECKPOINT shows one",
}

// script is what scripts/run.sh calls.
func (a *app) script() *cobra.Command {
	var names []string
	for name := range scripts {
		names = append(names, name)
	}
	slices.Sort(names)
	return &cobra.Command{
		Use:   "run FILE.py [FLAGS]",
		Short: "Run the command that stands for a Python script of the specification",
		Long: "Run the command that stands for a Python script of the specification, as\n" +
			"scripts/run.sh does. Folders do not matter. The scripts:\n\n  " + strings.Join(names, "\n  "),
		Example:            "  mqc run src/train.py --num_epochs 20\n  mqc run src/generate.py --seed_tokens \"80 81 83 89 66\"",
		DisableFlagParsing: true, // the flags are those of the command
		ValidArgsFunction:  cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(c, "name a script, such as src/train.py")
			}
			if args[0] == "--help" || args[0] == "-h" {
				return c.Help()
			}
			name := path.Base(strings.ReplaceAll(args[0], `\`, "/"))
			line, ok := scripts[name]
			if !ok {
				e := &usageError{err: fmt.Errorf("run: %s: no script of the specification", args[0]), hint: "see: mqc run --help"}
				if note, ok := libraries[name]; ok {
					e.hint = note
				}
				return e
			}
			root := a.root()
			root.SetArgs(slices.Concat(line, args[1:]))
			return root.ExecuteContext(c.Context())
		},
	}
}
