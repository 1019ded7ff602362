// The page of mqc serve: it puts the panels together, and starts.

import { listen } from './api.js';
import { App } from './app.js';
import { bandsOf } from './bands.js';
import { Chart } from './chart.js';
import { chat } from './chat.js';
import { compare } from './compare.js';
import { controls, tabs, themes } from './controls.js';
import { byId } from './dom.js';
import { evidence } from './evidence.js';
import { plural } from './format.js';
import { analogues, explain } from './lookups.js';
import { headline, key, legend, readout } from './readout.js';
import { scenario } from './scenario.js';
import { slider } from './slider.js';

const app = new App();
const chart = new Chart(byId('chart'));
const strip = byId('strip');

listen({ wait, token });
controls(app);
headline(app);
legend(app, chart, byId('legend'));
key(app, byId('fans'));
slider(app, strip.querySelector('input'), strip.querySelector('canvas'));
readout(app, byId('forecast'));
scenario(app, chart, byId('scenario'));
compare(app, chart, byId('compare'));
explain(app, byId('explain'));
analogues(app, byId('analogues'));
evidence(app, byId('evidence'));
const startChat = chat(app);
tabs(app);

app.on('history', () => chart.setHistory(app.history, app.state.horizon));
app.on('begin', () => chart.begin(app.state.horizon));
app.on('progress', () => chart.setFan('model', bandsOf(app.progress)));
app.on('answer', () => {
  chart.setFan('model', bandsOf(app.answer), app.answer.closes);
  chart.setRealised(app.answer.realised, app.answer.steps);
});
app.on('theme', () => chart.paint());
themes(app);

const some = byId('some-paths');
some.addEventListener('change', () => chart.showPaths(some.checked));

addEventListener('keydown', ({ key }) => {
  if (key !== 'Escape') return;
  if (chart.pinned >= 0) chart.pin(-1);
  else app.stop();
});

// wait tells of a busy server.
function wait(seconds) {
  byId('status').textContent = `The server is busy: asked again in ${plural(seconds, 'second')}`;
}

// token asks for it, once for all requests that wait for it.
let asked = null;
function token(wrong) {
  asked ??= new Promise((resolve) => {
    const dialog = byId('token');
    const [input, message] = [dialog.querySelector('input'), dialog.querySelector('.bad')];
    message.hidden = !wrong;
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    dialog.querySelector('form').addEventListener('submit', (event) => {
      event.preventDefault();
      sessionStorage.setItem('token', input.value);
      input.value = '';
      dialog.close();
      asked = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asked;
}

app.start().catch((error) => app.fail(error));
startChat().catch((error) => app.fail(error));
