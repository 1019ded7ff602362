// Command screenshots makes the pictures of the documentation from a page that mqc
// serve serves: scripts/screenshots.sh runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// shot is one picture: what the address asks for, how large, and in which theme.
type shot struct {
	name          string
	query         url.Values
	width, height int64
	phone         bool
	ask           string // a line of the chat
	below         bool   // what is below the chart, not the chart
}

const (
	wide, tall   = 1440, 900
	phoneW       = 390
	phoneH       = 844
	maxSize      = 250_000 // bytes of a picture
	patience     = time.Minute
	settle       = 300 * time.Millisecond // for the last frame
	defaultAsset = "SYN-01"
)

func main() {
	log.SetFlags(0)
	at := flag.String("url", "http://127.0.0.1:8080", "where mqc serve serves")
	out := flag.String("out", "docs/img", "folder of the pictures")
	asset := flag.String("asset", defaultAsset, "asset to show")
	asOf := flag.String("as-of", "", "last date that the model sees; empty: the newest")
	only := flag.String("only", "", "make those pictures alone whose names begin so")
	flag.Parse()
	if err := run(*at, *out, *asset, *asOf, *only); err != nil {
		log.Fatal("screenshots: ", err)
	}
}

// shots are all pictures but for their themes.
func shots(asset, asOf string) []shot {
	with := func(pairs ...string) url.Values {
		v := url.Values{"asset": {asset}}
		if asOf != "" {
			v.Set("as_of", asOf)
		}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	return []shot{
		{name: "forecast", query: with("paths", "512"), width: wide, height: tall, ask: "P(up in 10d)"},
		{name: "scenario", query: with("paths", "1024", "view", "scenario", "what_if", "-4%, 0, 0"), width: wide, height: tall, ask: "what if -4%, then flat for 2d"},
		{name: "evidence", query: with("view", "evidence"), width: wide, height: tall, below: true},
		{name: "phone", query: with(), width: phoneW, height: phoneH, phone: true},
	}
}

func run(at, out, asset, asOf, only string) error {
	program, err := findBrowser()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as its first context
		return err
	}
	for _, s := range shots(asset, asOf) {
		if !strings.HasPrefix(s.name, only) {
			continue
		}
		for _, theme := range []string{"light", "dark"} {
			path := filepath.Join(out, s.name+"-"+theme+".png")
			picture, err := take(ctx, at, s, theme)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if len(picture) > maxSize {
				return fmt.Errorf("%s: %d bytes: want at most %d", path, len(picture), maxSize)
			}
			if err := os.WriteFile(path, picture, 0o644); err != nil {
				return err
			}
			fmt.Printf("%s  %d kB\n", path, len(picture)/1000)
		}
	}
	return nil
}

// findBrowser looks for Chromium under the names that systems have for it.
func findBrowser() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no chromium in PATH: install one, on Debian by apt-get install chromium")
}

// idle is what a page says that waits for nothing.
const idle = `document.querySelector('main')?.getAttribute('aria-busy') === 'false' &&
	!document.querySelector('[role=tabpanel][aria-busy=true]') && !document.querySelector('#log [aria-busy=true]')`

// take opens a page, waits until nothing is under way, and takes its picture.
func take(ctx context.Context, at string, s shot, theme string) (picture []byte, err error) {
	ctx, cancel := chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		return nil, err
	}
	ctx, cancel = context.WithTimeout(ctx, patience)
	defer cancel()
	features := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, features); err != nil {
		return nil, err
	}
	var options []chromedp.EmulateViewportOption
	if s.phone {
		options = append(options, chromedp.EmulateMobile)
	}
	wait := chromedp.Poll[chromedp.Void](idle, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(0))
	steps := []chromedp.Action[chromedp.Void]{
		chromedp.EmulateViewport(s.width, s.height, options...),
		chromedp.Navigate(at + "/?" + s.query.Encode()),
		wait,
	}
	if s.ask != "" {
		steps = append(steps, chromedp.SendKeys(chromedp.CSS("#line"), s.ask+"\r"), chromedp.WaitVisible(chromedp.CSS("#log .call")), wait)
	}
	steps = append(steps, chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	if s.below {
		steps = append(steps, chromedp.Evaluate[chromedp.Void](`document.querySelector('[role=tablist]').scrollIntoView()`))
	}
	if err := chromedp.Do(ctx, append(steps, chromedp.Sleep(settle))...); err != nil {
		return nil, err
	}
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}
