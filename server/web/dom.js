// Elements, and colours of the theme for what is drawn on a canvas.

// el makes an element. Attributes that begin with "on" are listeners; true and false
// set and leave out; children are elements or text.
export function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// svg is el for drawings.
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

// colour is a variable of the style sheet as the theme has it, in rgb().
export function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}
const probe = document.body.appendChild(el('span', { hidden: true }));

// table has a head of texts and rows of cells: texts, or {text, class}. The first
// column heads its rows; columns whose heads end in a colon hold words, not numbers.
export function table(caption, head, rows) {
  const words = head.map((text) => text.endsWith(':'));
  return el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption }, el('table', null,
    el('caption', { class: 'hidden' }, caption),
    el('thead', null, el('tr', null, head.map((text, i) => el('th', { scope: 'col', class: words[i] && 'words' }, text.replace(/:$/, ''))))),
    el('tbody', null, rows.map((row) => el('tr', null, row.map((cell, i) => {
      const { text, class: name } = cell?.text === undefined ? { text: cell } : cell;
      return i === 0 ? el('th', { scope: 'row', class: name }, text) : el('td', { class: words[i] ? `words ${name ?? ''}` : name }, text);
    })))),
  ));
}

// facts is a list of names and values.
export function facts(pairs) {
  return el('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, value]) => el('div', null, el('dt', null, name), el('dd', null, value))));
}

// copyButton copies a text.
export function copyButton(text, label = 'Copy') {
  const button = el('button', { type: 'button', class: 'quiet', onclick: async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Not allowed';
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  } }, label);
  return button;
}
