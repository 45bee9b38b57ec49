// What is wrong with this page for somebody who reads, enlarges, listens to or types through it?
const faults = [];
const shown = (element) => {
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  return style.visibility !== 'hidden' && style.display !== 'none' && box.width > 1 && box.height > 1 && box.right > 0;
};
const name = (element) => `<${element.tagName.toLowerCase()} ${element.id || element.name || element.className}>`;

const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
if (wide > 0) faults.push(`it scrolls sideways by ${wide} px`);
if (!document.documentElement.lang) faults.push('it tells no language');
if (!document.title.trim()) faults.push('it has no title');
if (document.querySelectorAll('h1').length !== 1) faults.push('it has not one main heading');
if (document.querySelectorAll('main').length !== 1) faults.push('it has not one main part');
if (document.querySelector('script, [style]')) faults.push('it has a script or an inline style');
const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
if (new Set(ids).size !== ids.length) faults.push('an id stands twice');

for (const field of document.querySelectorAll('input, select, textarea')) {
  if (field.type === 'hidden' || field.hidden) continue;
  const label = [...field.labels].map((one) => one.textContent.trim()).join('');
  if (!label) faults.push(`${name(field)} has no label`);
  for (const id of (field.getAttribute('aria-describedby') || '').split(' ').filter(Boolean)) {
    if (!document.getElementById(id)) faults.push(`${name(field)} is described by nothing`);
  }
}
for (const target of document.querySelectorAll('main button, main a.button, main input, main select')) {
  if (!shown(target)) continue;
  if (!(target.textContent + target.value + (target.ariaLabel || '')).trim() && target.tagName !== 'INPUT') {
    faults.push(`${name(target)} says nothing`);
  }
  if (target.getBoundingClientRect().height < 40) faults.push(`${name(target)} is hard to hit`);
}

// Contrast (WCAG 2.2, 1.4.3): text against the first ground that is not transparent.
const numbers = (color) => color.match(/[\d.]+/g).map(Number);
const light = (color) => {
  const [r, g, b] = numbers(color).map((part) => part / 255).map((part) =>
    part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
// What the browser paints where a page paints nothing.
const probe = document.body.appendChild(document.createElement('i'));
probe.style.backgroundColor = 'Canvas';
const canvas = getComputedStyle(probe).backgroundColor;
probe.remove();
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if ((numbers(color)[3] ?? 1) > 0) return color;
  }
  return canvas;
};
const contrast = (one, other) => {
  const [dim, bright] = [light(one), light(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dim + 0.05);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.textContent.trim() || !shown(element)) continue;
  const ratio = contrast(getComputedStyle(element).color, ground(element));
  if (ratio < 4.5) faults.push(`"${node.textContent.trim().slice(0, 30)}" has a contrast of ${ratio.toFixed(2)}`);
  if (parseFloat(getComputedStyle(element).fontSize) < 14) faults.push(`"${node.textContent.trim().slice(0, 30)}" is tiny`);
}
for (const field of document.querySelectorAll('main input, main select')) {
  if (!shown(field)) continue;
  const style = getComputedStyle(field);
  if (contrast(style.color, ground(field)) < 4.5) faults.push(`what is typed into ${name(field)} is faint`);
  if (contrast(style.borderTopColor, ground(field.parentElement)) < 3) faults.push(`${name(field)} has a faint edge`);
}
return faults;
