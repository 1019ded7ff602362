package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/runs"
	"github.com/micro-quant/mqc/train"
)

// defaultRuns is where mqc runs looks.
const defaultRuns = "runs"

func (a *app) listRuns() *cobra.Command {
	folder := defaultRuns
	c := &cobra.Command{
		Use:   "runs [ID]",
		Short: "List the training runs that were recorded, or the events of one",
		Long: `List the training runs that were recorded in a folder, the newest first, or the
events of one. Training commands record themselves in runs/ in the folder of the
checkpoint that they write, or beside that folder where it is called checkpoints;
--runs chooses another place. A run that was killed stays "running": the time at
which it was last seen tells.`,
		Example: "  mqc runs\n  mqc runs 3 --runs quickstart/runs",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id := int64(0)
			if len(args) > 0 {
				var err error
				if id, err = strconv.ParseInt(args[0], 10, 64); err != nil {
					return usagef(c, "%q: want the number of a run", args[0])
				}
			}
			r, err := runs.OpenForReading(folder)
			if err != nil {
				return err
			}
			defer r.Close()
			if len(args) > 0 {
				return a.printRun(r, id)
			}
			return a.printRuns(r)
		},
	}
	c.Flags().StringVar(&folder, "runs", folder, "folder of the registry")
	return c
}

func (a *app) printRuns(r *runs.Registry) error {
	list, err := r.List()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(list)
	}
	t := newTable("id", "stage", "started", "state", "seen", "steps", "best", "checkpoint")
	for _, run := range list {
		t.add(run.ID, run.Stage, clock(run.Started), run.State, clock(run.Seen), fmt.Sprintf("%d/%d", run.Step, run.Steps), bestOf(run), run.Checkpoint)
	}
	a.say("%s", t)
	return nil
}

func (a *app) printRun(r *runs.Registry, id int64) error {
	run, err := r.Run(id)
	if err != nil {
		return err
	}
	events, err := r.Events(id, 0, runs.All)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"run": run, "events": events})
	}
	a.say("run %d: %s, %s, started %s, last seen %s, best %s", run.ID, run.Stage, run.State, clock(run.Started), clock(run.Seen), bestOf(run))
	a.say("%s\n%s", run.Command, run.Checkpoint)
	if run.Message != "" {
		a.say("%s", run.Message)
	}
	t := newTable("time", "event", "step", "measures")
	for _, e := range events {
		mark := ""
		if e.Best {
			mark = " *"
		}
		t.add(e.Time.Format("15:04:05"), e.Kind, e.Step, formatMeasures(e.Measures)+mark)
	}
	a.say("%s", t)
	return nil
}

func clock(t time.Time) string { return t.Format("2006-01-02 15:04:05") }

func bestOf(r runs.Run) string {
	if r.Best == nil {
		return "–"
	}
	return fmt.Sprintf("%s %.4f (step %d)", r.Metric, *r.Best, r.BestStep)
}

// runsFolder is where the run that writes a checkpoint is recorded: --runs, or
// runs in the folder of the checkpoint, or beside that where it is called
// checkpoints.
func (a *app) runsFolder(out string) string {
	if a.runs != "" {
		return a.runs
	}
	return registryOf(filepath.Dir(out))
}

// registryOf is where training commands record what they write to a folder.
func registryOf(folder string) string {
	if filepath.Base(folder) == filepath.Dir(bestModel) {
		folder = filepath.Dir(folder)
	}
	return filepath.Join(folder, defaultRuns)
}

// record is a run in the registry. It is made at the first event: a run that is
// refused leaves no trace. A fault is said once, and training goes on.
type record struct {
	a           *app
	out, folder string
	resumed     bool
	registry    *runs.Registry
	id          int64
	waiting     []runs.Event
	written     time.Time
	fault       error
}

// recordEvery is how long steps wait to be written together; evaluations do not.
const recordEvery = time.Second

func (r *record) observe(e train.Event) {
	r.attempt(func() error {
		if r.registry == nil {
			if err := r.start(e.Stage); err != nil {
				return err
			}
		}
		now := time.Now().UTC()
		r.waiting = append(r.waiting, runs.Event{Time: now, Kind: e.Kind, Step: e.Step, Steps: e.Steps, Measures: e.Measures, Best: e.Best})
		if e.Kind != train.EventEval && now.Sub(r.written) < recordEvery {
			return nil
		}
		if err := r.flush(); err != nil || !e.Best {
			return err
		}
		return r.registry.SetBest(r.id, e.Metric, e.Measures[e.Metric], e.Step)
	})
}

// start opens the registry, and begins a run or goes on with one.
func (r *record) start(stage string) (err error) {
	path, err := filepath.Abs(r.out)
	if err != nil {
		return err
	}
	if r.registry, err = runs.Open(r.folder); err != nil {
		return err
	}
	if r.resumed {
		run, found, err := r.registry.Resume(stage, path)
		if err != nil || found {
			r.id = run.ID
			return err
		}
	}
	run, err := r.registry.Start(runs.Run{Stage: stage, Command: r.a.command(), Checkpoint: path})
	r.id = run.ID
	return err
}

func (r *record) flush() error {
	err := r.registry.Append(r.id, r.waiting)
	r.waiting, r.written = r.waiting[:0], time.Now()
	return err
}

// end records how the run ended.
func (r *record) end(err error) {
	if r.registry == nil {
		return
	}
	r.attempt(func() error {
		if err := r.flush(); err != nil {
			return err
		}
		switch {
		case err == nil:
			return r.registry.End(r.id, runs.Finished, "")
		case errors.Is(err, context.Canceled):
			return r.registry.End(r.id, runs.Stopped, "")
		}
		return r.registry.End(r.id, runs.Failed, err.Error())
	})
}

// attempt does work unless an earlier one failed.
func (r *record) attempt(work func() error) {
	if r.fault != nil {
		return
	}
	if r.fault = work(); r.fault != nil {
		r.a.warn("%v; training goes on without the registry", r.fault)
	}
}

func (r *record) close() {
	if r.registry != nil {
		r.attempt(r.registry.Close)
	}
}
