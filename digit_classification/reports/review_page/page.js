// The program of the review page. Text from outside (file names, reasons) is only ever set as
// textContent. Pictures are decoded, and cards drawn, when they scroll into view.
//
// What was read is a digit, or where numbers were read a string such as "47" or "-12,5"; a
// correction is of the same kind.

const data = JSON.parse(byId("data").textContent);
const STATUSES = ["uncertain", "rejected", "error", "ok"];
const NAMES = {
  all: "All", uncertain: "Uncertain", rejected: "Rejected", error: "Errors", ok: "OK",
  wrong: "Wrong", corrected: "Corrected",
};
const NUMBERS = data.numbers;
const FORMS = data.forms; // the numbers stand in cells, shown form by form
const NOUN = FORMS ? "cell" : "picture";
const NUMBER = /^-?[0-9]+([.,][0-9]+)*$/;
const MEANINGS = {
  uncertain: `confidence below ${Math.round(data.minConfidence * 1000) / 10} %`,
  rejected: NUMBERS ? "not one number" : "not one digit",
  error: "no picture could be read",
  ok: "read, the least certain first",
};
const CARD = { height: 142, minWidth: 284, gap: 12 };
const HEADING_HEIGHT = 56;
const PICTURE = 96; // pixels: the side of a card's picture
const WIDE = 162; // pixels: the width of a card's picture where numbers were read
const DIGIT = data.side; // pixels: the side of a normalised digit
// What can be filtered by: the digit, or how many a number has, nine and more together.
const KINDS = NUMBERS ? [1, 2, 3, 4, 5, 6, 7, 8, 9] : [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const SIGN = { text: 0, box: [1, 2, 3, 4], confidence: 5 };
const NO_CELL = [1, null, 0, 0, null, []];

const items = data.items.map((row, index) => {
  const [path, status, digit, confidence, shares, reason, sha256, has, truth, signs = [], cell] = row;
  const [page, number, line, column, field, box] = cell ?? NO_CELL;
  return {
    cell: number, box, // of a form: which cell of its file, and where on its picture
    form: page === 1 ? visible(path) : `${visible(path)}, page ${page}`,
    index, truth, // what is right, "none", or null where it is not known
    signs, // of a number: text, left, top, width, height, confidence
    kind: NUMBERS && digit !== null ? Math.min(9, digit.replace(/[^0-9]/g, "").length) : digit,
    isWrong: truth !== null && digit !== (truth === "none" ? null : truth),
    path, digit, confidence, shares, reason, sha256,
    status: STATUSES[status],
    name: !FORMS ? visible(path) : !line ? "the page" : field ?? `row ${line}, column ${column}`,
    hasPicture: has >= 1,
    // Without any, there is nothing to learn; but which number it is can be said all the same.
    hasInk: has >= (NUMBERS ? 1 : 2) && (!FORMS || line > 0),
  };
});

const sizes = Object.fromEntries(STATUSES.map((status) => (
  [status, items.filter((item) => item.status === status).length])));
sizes.wrong = items.filter((item) => item.isWrong).length;
const known = items.filter((item) => item.truth !== null).length;
const corrections = new Map(); // item index -> digit or number
const answered = []; // the items of each answer, in the order in which they were given
const ticked = new Set(); // item indices
const filter = { status: FORMS && sizes.uncertain ? "uncertain" : "all", digit: null, text: "" };
let saved = true; // whether the corrections are downloaded as they are
const unkept = new Set(); // item indices whose last answer the browser has not kept
let shown = items.filter(isShown); // the items that the filter lets through
let rows = []; // {top, height, status} is a heading, {top, height, first, count} a row of cards
let columns = 1;
let current = Math.max(0, nextLearnable(0)); // position in `shown`
// On a phone the dock waits for a tap; and it asks for no digit where none can be given.
let chosen = matchMedia("(min-width: 641px)").matches && nextLearnable(0) >= 0;
let anchor = 0; // position where a range of ticks begins
const cards = new Map(); // position in `shown` -> element

/** The first position from `position` on whose picture can be corrected; -1 if there is none. */
function nextLearnable(position) {
  return shown.findIndex((item, place) => place >= position && item.hasInk);
}

function byId(id) {
  return document.getElementById(id);
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function percent(share) {
  return share > 0.9995 && share < 1 ? "> 99.9 %" : `${(100 * share).toFixed(1)} %`;
}

function noun(status, number) {
  return status === "error" && number > 1 ? "errors" : status;
}

function count(number) {
  return number.toLocaleString("en");
}

/** Show what is invisible, or turns the text around it (a control, a right-to-left override). */
function visible(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

// ------------------------------------------------------------------------------------- pictures

const sheetElements = document.getElementsByClassName("sheet");
const sheets = [];

/**
 * Decode the sheet that holds an item: {cell, sizes, pictures, digits}, the last two as URLs; or
 * instead of digits, where numbers were read, signs: for each item a PNG in base64 a digit.
 */
function sheetOf(item) {
  const number = Math.floor(item.index / data.perSheet);
  if (!sheets[number]) {
    const sheet = JSON.parse(sheetElements[number].textContent);
    sheetElements[number].textContent = "";
    sheets[number] = {
      ...sheet,
      pictures: blobUrl(sheet.pictures),
      digits: sheet.digits && blobUrl(sheet.digits),
    };
  }
  return sheets[number];
}

/** A short URL for the same content: the long one would be copied into each element's style. */
function blobUrl(dataUrl) {
  const [head, content] = dataUrl.split(",");
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: head.slice(5).split(";")[0] }));
}

/** Fill a frame with an item's picture or, if `normalised`, what the network sees of it. */
function fill(frame, item, side, normalised, wide = side) {
  frame.classList.toggle("empty", !item.hasPicture);
  if (!item.hasPicture) {
    frame.replaceChildren();
    return;
  }
  const sheet = sheetOf(item);
  const place = item.index % data.perSheet;
  const cell = normalised ? DIGIT : sheet.cell;
  const [width, height] = normalised ? [DIGIT, DIGIT] : sheet.sizes[place];
  const zoom = Math.min(wide / width, side / height);
  const across = place % data.columns;
  const down = Math.floor(place / data.columns);
  const picture = frame.firstElementChild ?? frame.appendChild(make("i"));
  frame.classList.toggle("large", zoom >= 2);
  Object.assign(picture.style, {
    width: `${width * zoom}px`,
    height: `${height * zoom}px`,
    backgroundImage: `url(${normalised ? sheet.digits : sheet.pictures})`,
    backgroundSize: `${data.columns * cell * zoom}px auto`,
    backgroundPosition: `${-across * cell * zoom}px ${-down * cell * zoom}px`,
  });
  if (!NUMBERS) return;
  const frames = item.box.length ? [drawCell(item.box)] : [];
  picture.replaceChildren(...frames, ...item.signs.map(drawBox));
}

/** A frame around the cell that is meant, which is shown within its row. */
function drawCell(box) {
  const frame = make("b", { className: "cell" });
  const [left, top, width, height] = box.map((place) => `${100 * place}%`);
  Object.assign(frame.style, { left, top, width, height });
  return frame;
}

/** A box over the picture, for a sign of the number; one in doubt stands out. */
function drawBox(sign) {
  const box = make("b", { title: `${sign[SIGN.text]} ${percent(sign[SIGN.confidence])}` });
  const [left, top, width, height] = SIGN.box.map((place) => `${100 * sign[place]}%`);
  Object.assign(box.style, { left, top, width, height });
  box.classList.toggle("doubtful", sign[SIGN.confidence] < data.minConfidence);
  return box;
}

/** What the network saw of each sign, which it is, and how sure that is. */
function drawSigns(item) {
  const seen = item.signs.length ? sheetOf(item).signs[item.index % data.perSheet] : [];
  return item.signs.map((sign, place) => {
    const part = make("span", { className: "sign" });
    if (seen[place]) part.append(make("img", { src: pngUrl(seen[place]), alt: "" }));
    part.append(make("b", {}, sign[SIGN.text]), make("small", {}, percent(sign[SIGN.confidence])));
    part.classList.toggle("doubtful", sign[SIGN.confidence] < data.minConfidence);
    return part;
  });
}

function pngUrl(base64) {
  return `data:image/png;base64,${base64}`;
}

// ----------------------------------------------------------------------------------------- head

function drawHead() {
  const counts = STATUSES.filter((status) => data.statuses[status])
    .map((status) => `${count(data.statuses[status])} ${noun(status, data.statuses[status])}`);
  const sentences = [
    `${count(data.total)} ${NOUN}${data.total === 1 ? "" : "s"}: ${counts.join(", ")}.`,
    `Read with ${data.model}, ${data.finished}.`,
  ];
  if (data.run) sentences.push(`Run ${data.run}.`);
  if (items.length < data.total) {
    sentences.push(`The ${count(items.length)} least certain are shown.`);
  }
  if (known) sentences.push(`Of ${count(known)} with a known answer ${count(sizes.wrong)} are wrong.`);
  if (FORMS) sentences.push("Each cell is framed within its row.");
  sentences.push(NUMBERS ? "Each box is a sign of the number, a dashed one is in doubt."
    : "On the left the picture, on the right what the network saw of it.");
  byId("about").textContent = sentences.join(" ");
  document.querySelector("h1").title = data.sources.join("\n");

  const most = Math.max(1, ...data.digits);
  if (NUMBERS) byId("digits-title").textContent = "Digits in the number";
  byId("digit-chart").append(...KINDS.map((digit) => {
    const number = data.digits[digit];
    const name = nameOfKind(digit);
    const bar = drawBar(make("button", { type: "button" }), name, number, number / most);
    bar.setAttribute("aria-label", `${name}: ${count(number)} read; show these`);
    bar.addEventListener("click", () => choose({ digit: filter.digit === digit ? null : digit }));
    return bar;
  }));

  const highest = Math.log1p(Math.max(1, ...data.bins.map(([, number]) => number)));
  byId("confidence-chart").append(...data.bins.map(([from, number]) => {
    const range = `${from}–${from + 10}`;
    const bar = drawBar(make("div"), range, number, Math.log1p(number) / highest);
    bar.classList.toggle("below", from + 10 <= 100 * data.minConfidence + 1e-9);
    return bar;
  }));
  const spoken = data.bins.map(([from, number]) => `${from} to ${from + 10} %: ${number}`);
  byId("confidence-chart").setAttribute("aria-label", spoken.join(", "));
}

function nameOfKind(kind) {
  return NUMBERS && kind === 9 ? "9+" : String(kind);
}

function drawBar(bar, name, number, share) {
  const fillOf = make("i");
  fillOf.style.height = `${share * 52}%`;
  bar.className = "bar";
  bar.dataset.name = name;
  bar.dataset.count = number ? count(number) : "";
  bar.append(fillOf);
  return bar;
}

// --------------------------------------------------------------------------------------- filter

function drawFilters() {
  const wrong = known ? ["wrong"] : [];
  const statuses = ["all", ...STATUSES, ...wrong, "corrected"].map((status) => {
    const button = make("button", { type: "button" }, `${NAMES[status]} `, make("b"));
    button.dataset.choice = status;
    if (status !== "all") button.dataset.status = status;
    button.addEventListener("click", () => choose({ status }));
    return button;
  });
  byId("statuses").append(...statuses);
  if (NUMBERS) byId("digits").setAttribute("aria-label", "Digits in the number");
  const digits = [null, ...KINDS].map((digit) => {
    const button = make("button", { type: "button" }, digit === null ? "Any" : nameOfKind(digit));
    button.addEventListener("click", () => choose({ digit }));
    return button;
  });
  byId("digits").append(...digits);
  byId("find").addEventListener("input", (event) => choose({ text: event.target.value }));
  byId("reset").addEventListener("click", () => {
    byId("find").value = "";
    choose({ status: "all", digit: null, text: "" });
  });
}

/** Whether the filter lets an item through. */
function isShown(item) {
  const text = filter.text.toLowerCase();
  return (filter.status === "all" || filter.status === item.status
      || (filter.status === "wrong" && item.isWrong)
      || (filter.status === "corrected" && corrections.has(item.index)))
    && (filter.digit === null || filter.digit === item.kind)
    && (!text || item.form.toLowerCase().includes(text) || item.name.toLowerCase().includes(text));
}

function choose(changes) {
  const item = shown[current];
  Object.assign(filter, changes);
  shown = items.filter(isShown);
  current = anchor = Math.max(0, shown.includes(item) ? shown.indexOf(item) : nextLearnable(0));
  layOut();
  updateDock();
  if (byId("list").getBoundingClientRect().top < 0) reveal(0);
}

function updateFilters() {
  for (const button of byId("statuses").children) {
    const status = button.dataset.choice;
    const number = status === "all" ? items.length
      : status === "corrected" ? corrections.size : sizes[status];
    button.lastElementChild.textContent = count(number);
    button.disabled = number === 0 && filter.status !== status;
    button.setAttribute("aria-pressed", filter.status === status);
  }
  [...byId("digits").children].forEach((button, place) => {
    button.setAttribute("aria-pressed", filter.digit === (place === 0 ? null : KINDS[place - 1]));
  });
  [...byId("digit-chart").children].forEach((bar, place) => {
    bar.setAttribute("aria-pressed", filter.digit === KINDS[place]);
  });
  byId("anew").hidden = corrections.size === 0;
  byId("unkept").hidden = unkept.size === 0;
  const [number, noun] = byId("download").children;
  byId("download").disabled = corrections.size === 0;
  number.textContent = corrections.size ? count(corrections.size) : "";
  noun.textContent = corrections.size === 1 ? "correction" : "corrections";
}

// ----------------------------------------------------------------------------------------- list

/** Find the place of each row; `draw` makes those that are in view. */
function layOut() {
  const list = byId("list");
  const width = list.clientWidth;
  columns = Math.max(1, Math.floor((width + CARD.gap) / (CARD.minWidth + CARD.gap)));
  rows = [];
  const grouped = FORMS || filter.status === "all";
  let top = grouped ? 0 : 16;
  for (let first = 0; first < shown.length;) {
    const group = groupOf(shown[first]);
    let end = first;
    if (grouped) {
      while (end < shown.length && groupOf(shown[end]) === group) end += 1;
      rows.push({ top, height: HEADING_HEIGHT, group, size: end - first });
      top += HEADING_HEIGHT;
    } else {
      end = shown.length;
    }
    for (; first < end; first += columns) {
      const size = Math.min(columns, end - first);
      rows.push({ top, height: CARD.height, first, count: size });
      top += CARD.height + CARD.gap;
    }
    first = end;
  }
  list.style.height = `${top}px`;
  list.hidden = shown.length === 0;
  byId("none").hidden = shown.length > 0;
  list.replaceChildren();
  cards.clear();
  draw();
}

/** What an item stands under: its form, or its status. */
function groupOf(item) {
  return FORMS ? item.form : item.status;
}

/** The number of the last row that begins at or above `y`. */
function rowAt(y) {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (rows[middle].top <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

function rowOf(position) {
  return rows.findIndex((row) => row.count && position < row.first + row.count);
}

let drawing = 0;

function drawSoon() {
  drawing ||= requestAnimationFrame(draw);
}

/** Draw the rows in view, and one screen each way so that pictures are there when they come. */
function draw() {
  cancelAnimationFrame(drawing);
  drawing = 0;
  const list = byId("list");
  const above = -list.getBoundingClientRect().top;
  const begin = rowAt(above - innerHeight);
  const end = rowAt(above + 2 * innerHeight);
  const wanted = new Set();
  for (let number = begin; number <= end && number < rows.length; number += 1) {
    const row = rows[number];
    if (row.group) wanted.add(`heading ${row.group}`);
    for (let place = 0; place < (row.count ?? 0); place += 1) wanted.add(row.first + place);
  }
  for (const [key, element] of cards) {
    if (!wanted.has(key)) {
      element.remove();
      cards.delete(key);
    }
  }
  const width = (list.clientWidth - (columns - 1) * CARD.gap) / columns;
  const before = []; // what comes into view above what is there, so that the order stays right
  const after = [];
  let fresh = list.firstElementChild ? before : after;
  const add = (key, drawIt) => {
    if (cards.has(key)) fresh = after;
    else fresh.push(drawIt());
  };
  for (let number = begin; number <= end && number < rows.length; number += 1) {
    const row = rows[number];
    if (row.group) add(`heading ${row.group}`, () => drawHeading(row));
    for (let place = 0; place < (row.count ?? 0); place += 1) {
      add(row.first + place, () => drawCard(row, place, width));
    }
  }
  list.prepend(...before);
  list.append(...after);
  updateState();
}

function drawHeading(row) {
  const [name, meaning] = FORMS
    ? [row.group, `${count(row.size)} ${NOUN}${row.size === 1 ? "" : "s"}`]
    : [`${NAMES[row.group]} ${count(row.size)}`, MEANINGS[row.group]];
  const heading = make("div", { className: "heading", title: FORMS ? row.group : "" },
    make("strong", { textContent: name, dir: "auto" }), make("span", { textContent: meaning }));
  heading.setAttribute("role", "presentation");
  if (!FORMS) heading.dataset.status = row.group;
  heading.style.top = `${row.top}px`;
  cards.set(`heading ${row.group}`, heading);
  return heading;
}

function drawCard(row, place, width) {
  const position = row.first + place;
  const item = shown[position];
  const picture = make("div", { className: "frame" });
  const frames = [picture];
  fill(picture, item, PICTURE, false, NUMBERS ? WIDE : PICTURE);
  if (!NUMBERS) {
    const digit = make("div", { className: "frame digit" });
    fill(digit, item, 2 * DIGIT, true);
    frames.push(digit);
  }
  const card = make("div", { className: "card", id: `item-${item.index}`, title: fullName(item) },
    ...frames, make("div", { className: "words" }),
    drawName(item.name),
    make("span", { className: "tick", textContent: "✓" }));
  Object.assign(card.style, {
    top: `${row.top}px`,
    left: `${place * (width + CARD.gap)}px`,
    width: `${width}px`,
  });
  card.dataset.position = position;
  card.dataset.status = item.status;
  card.setAttribute("role", "option");
  card.setAttribute("aria-posinset", position + 1);
  card.setAttribute("aria-setsize", shown.length);
  drawWords(card, item);
  cards.set(position, card);
  return card;
}

/** What an item is called apart from its heading. */
function fullName(item) {
  return FORMS ? `${item.form}: ${item.name}` : item.name;
}

/** A path that gives way in its folder first. */
function drawName(name) {
  const cut = Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1;
  return make("div", { className: "name" },
    make("bdi", {}, name.slice(0, cut)), make("bdi", {}, name.slice(cut)));
}

function drawWords(card, item) {
  const correction = corrections.get(item.index);
  const words = [];
  const read = make("div", { className: "read" });
  if (correction === undefined) {
    read.append(item.digit === null ? "" : String(item.digit));
  } else {
    if (item.digit !== null && item.digit !== correction) {
      read.append(make("s", {}, String(item.digit)));
    }
    read.append(make("em", {}, String(correction)));
  }
  if (read.textContent) words.push(read);
  if (item.confidence !== null) {
    words.push(make("div", { className: "share", textContent: percent(item.confidence) }));
  }
  if (item.isWrong) {
    words.push(make("div", { className: "truth", textContent: `wrong: ${truthOf(item)}` }));
  }
  if (item.reason) {
    words.push(make("div", { className: "state", textContent: item.status }));
    words.push(make("div", { className: "reason", textContent: visible(item.reason) }));
  } else if (correction !== undefined) {
    const word = correction === item.digit ? "confirmed" : "corrected";
    words.push(make("div", { className: "other", textContent: word }));
  } else if (secondBest(item)) {
    words.push(make("div", { className: "other", textContent: secondBest(item) }));
  }
  card.querySelector(".words").replaceChildren(...words);
  card.setAttribute("aria-label", [fullName(item), describe(item)].join(": "));
}

function drawAllWords() {
  for (const [position, card] of cards) {
    if (typeof position === "number") drawWords(card, shown[position]);
  }
}

function truthOf(item) {
  if (item.truth === "none") return NUMBERS ? "no number" : "no digit";
  return `is ${item.truth}`;
}

function secondBest(item) {
  const others = item.shares.map((share, digit) => (digit === item.digit ? 0 : share));
  const most = Math.max(0, ...others);
  return most ? `or ${others.indexOf(most)}: ${most} %` : "";
}

function describe(item) {
  const correction = corrections.get(item.index);
  const parts = [];
  if (item.confidence !== null) {
    parts.push(`read as ${item.digit} with ${percent(item.confidence)}`);
  } else if (item.digit !== null) { // a person said so
    parts.push(String(item.digit));
  }
  if (item.status !== "ok") parts.push(item.status);
  if (item.reason) parts.push(visible(item.reason));
  if (item.isWrong) parts.push(`wrong: ${truthOf(item)}`);
  if (correction !== undefined) {
    parts.push(correction === item.digit ? "confirmed" : `corrected to ${correction}`);
  }
  return parts.join(", ");
}

/** Bring what is drawn in step with what is current, ticked and corrected. */
function updateState() {
  const list = byId("list");
  for (const [position, card] of cards) {
    if (typeof position !== "number") continue;
    card.classList.toggle("current", chosen && position === current);
    card.setAttribute("aria-selected", ticked.has(shown[position].index));
  }
  list.classList.toggle("ticking", ticked.size > 0);
  const card = cards.get(current);
  if (card) list.setAttribute("aria-activedescendant", card.id);
  else list.removeAttribute("aria-activedescendant");
}

// ----------------------------------------------------------------------------------------- dock

function drawAnswers() {
  if (NUMBERS) {
    byId("number").addEventListener("keydown", onKeyInNumber);
    byId("number").addEventListener("input", (event) => event.target.setCustomValidity(""));
    byId("typed").addEventListener("submit", (event) => {
      event.preventDefault();
      answerTyped();
    });
    return;
  }
  byId("answers").append(...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((digit) => {
    const button = make("button", { type: "button" }, String(digit), make("small"), make("i"));
    button.addEventListener("click", () => {
      const given = !ticked.size && corrections.get(shown[current].index) === digit;
      answer(given ? null : digit); // a second tap takes the first one back
      byId("list").focus({ preventScroll: true });
    });
    return button;
  }));
}

/** Show the current picture in the dock, with the probability of each digit. */
function updateDock() {
  const item = shown[current];
  const dock = byId("dock");
  dock.hidden = !item || !chosen;
  updateFilters();
  if (dock.hidden) return;
  const [picture, digit] = dock.querySelectorAll(".frame");
  fill(picture, item, picture.clientHeight, false, picture.clientWidth);
  if (!NUMBERS) fill(digit, item, digit.clientWidth, true);
  else byId("signs").replaceChildren(...(ticked.size > 1 ? [] : drawSigns(item)));
  const learnable = items.filter((each) => ticked.has(each.index) && each.hasInk).length;
  byId("reading").textContent = ticked.size > 1
    ? `${ticked.size} ${NOUN}s ticked` : capital(describe(item));
  byId("path").textContent = ticked.size > 1 ? "" : fullName(item);
  if (NUMBERS) {
    byId("question").textContent = ticked.size > 1 ? "Which number are they?"
      : item.hasInk ? "Which number is it?"
        : item.hasPicture ? "No cell is found here." : "There is no picture to look at.";
    byId("number").disabled = ticked.size ? learnable === 0 : !item.hasInk;
    if (document.activeElement !== byId("number")) byId("number").value = suggested(item);
    return;
  }
  byId("question").textContent = ticked.size > 1 ? "Which digit are they?"
    : !item.hasInk ? "Nothing was found that could be learned."
    : item.status === "rejected" ? "Which digit is on the right?" : "Which digit is it?";
  [...byId("answers").children].forEach((button, number) => {
    const share = item.shares[number] ?? 0;
    button.children[0].textContent = ticked.size > 1 || !share ? "\u00a0" : `${share} %`;
    button.children[1].style.height = ticked.size > 1 ? "0" : `${share}%`;
    button.disabled = ticked.size ? learnable === 0 : !item.hasInk;
    button.setAttribute("aria-pressed", !ticked.size && corrections.get(item.index) === number);
  });
}

/** What stands in the field before anybody types: what is given already, or what was read. */
function suggested(item) {
  return ticked.size > 1 ? "" : corrections.get(item.index) ?? item.digit ?? "";
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// ---------------------------------------------------------------------------------- corrections

/** Take the number in the field for the answer, if it is one. */
function answerTyped() {
  const field = byId("number");
  const number = field.value.trim();
  if (!NUMBER.test(number)) {
    field.setCustomValidity("A number has digits, perhaps a minus before and a comma or point within");
    field.reportValidity();
    return;
  }
  byId("list").focus({ preventScroll: true });
  answer(number);
}

function onKeyInNumber(event) {
  if (event.key !== "Escape") return;
  byId("list").focus({ preventScroll: true });
  refresh();
}

/** Say which digit the ticked pictures show, or else the current one; `null` takes it back. */
function answer(digit) {
  let targets = ticked.size ? items.filter((item) => ticked.has(item.index)) : [shown[current]];
  if (digit === null && !targets.some((item) => corrections.has(item.index))) {
    targets = lastAnswered();
    if (!targets.length) {
      say("There is nothing to take back.", true);
      return;
    }
  }
  const learnable = targets.filter((item) => item?.hasInk);
  if (!learnable.length) {
    say("Nothing was found in this picture that could be learned.", true);
    return;
  }
  for (const item of learnable) {
    if (digit === null) corrections.delete(item.index);
    else corrections.set(item.index, digit);
  }
  if (digit !== null) answered.push(learnable);
  saved = corrections.size === 0;
  keep(learnable);
  const what = learnable.length === 1 ? fullName(learnable[0]) : `${learnable.length} ${NOUN}s`;
  say(digit === null ? `${what}: correction taken back` : `${what}: ${digit}`);
  const alone = !ticked.size;
  ticked.clear();
  drawAllWords();
  const place = shown.indexOf(learnable[0]);
  const next = nextLearnable(current + 1);
  if (alone && digit !== null && next >= 0) moveTo(next);
  else if (digit === null && place >= 0) moveTo(place);
  else refresh();
}

/** What the last answer was given to that is not taken back yet. */
function lastAnswered() {
  while (answered.length) {
    const last = answered.pop().filter((item) => corrections.has(item.index));
    if (last.length) return last;
  }
  return [];
}

function tick(position, range) {
  const [from, to] = range ? [Math.min(anchor, position), Math.max(anchor, position)]
    : [position, position];
  const on = range || !ticked.has(shown[position].index);
  for (let place = from; place <= to; place += 1) {
    if (on) ticked.add(shown[place].index);
    else ticked.delete(shown[place].index);
  }
  anchor = position;
}

function refresh() {
  updateState();
  updateDock();
}

let silence = 0;

/** Tell a screen reader; and the eye as well, where nothing else on the page shows it. */
function say(text, toTheEye = false, milliseconds = 6000) {
  clearTimeout(silence);
  byId("said").textContent = text;
  byId("said").className = toTheEye ? "seen" : "";
  silence = setTimeout(() => { byId("said").textContent = ""; }, milliseconds);
}

// ------------------------------------------------------------------- corrections over a reload
//
// The browser keeps them for each run, under the pictures' paths (and cells), with the beginning of a
// checksum, as [[path, [checksum, correction]], ...]. Pages in other tabs and of the same run write there too,
// and with some browsers all files share one store: so what is there is changed, never replaced,
// and checked before it is believed.

const KEY = `digit corrections ${data.key}`;

function keptCorrections() {
  const text = localStorage.getItem(KEY); // throws where the browser forbids it
  try {
    return new Map(JSON.parse(text ?? "[]"));
  } catch {
    return new Map();
  }
}

/** Have the browser keep the answers to these items; what it does not take is tried again later. */
function keep(changed) {
  for (const item of changed) unkept.add(item.index);
  try {
    const kept = keptCorrections();
    for (const index of unkept) {
      const place = placeOf(items[index]);
      if (corrections.has(index)) kept.set(place, [contentOf(items[index]), corrections.get(index)]);
      else kept.delete(place);
    }
    if (kept.size) localStorage.setItem(KEY, JSON.stringify([...kept]));
    else localStorage.removeItem(KEY);
    unkept.clear();
  } catch {
    // Full, or forbidden: the page says so for as long as it is, and warns whoever leaves.
  }
}

/** What tells an item from all others of its run: its path, and of a form the cell. */
function placeOf(item) {
  return item.cell === null ? item.path : `${item.path}\n${item.cell}`;
}

function contentOf(item) {
  return item.sha256.slice(0, 16);
}

/** Take up what the browser has kept; return whether that changes anything. */
function takeUp() {
  let kept;
  try {
    kept = keptCorrections();
  } catch {
    return false;
  }
  const before = JSON.stringify([...corrections]);
  for (const item of items) {
    if (unkept.has(item.index)) continue;
    const [content, correction] = [kept.get(placeOf(item)) ?? []].flat();
    const possible = NUMBERS ? typeof correction === "string" && NUMBER.test(correction)
      : Number.isInteger(correction) && correction >= 0 && correction <= 9;
    if (possible && item.hasInk && content === contentOf(item)) {
      corrections.set(item.index, correction);
    } else {
      corrections.delete(item.index);
    }
  }
  const changed = JSON.stringify([...corrections]) !== before;
  if (changed) saved = corrections.size === 0;
  return changed;
}

/** Another page of this run has kept something. */
function onStorage(event) {
  if (event.key !== KEY || !takeUp()) return;
  drawAllWords();
  refresh();
}

function startAnew() {
  const number = corrections.size;
  const what = number === 1 ? "the correction" : `all ${count(number)} corrections`;
  if (!confirm(`Take back ${what} of this page? What is not downloaded is lost.`)) return;
  const corrected = items.filter((item) => corrections.has(item.index));
  corrections.clear();
  answered.length = 0;
  saved = true;
  keep(corrected);
  choose({});
  say("All corrections are taken back.", true);
}

// ------------------------------------------------------------------------------------- download

/** The corrections as CSV (RFC 4180), in the order of the page. */
function correctionsAsCsv() {
  if (NUMBERS) return numbersAsCsv();
  const lines = [...corrections].sort(([a], [b]) => a - b).map(([index, digit]) => {
    const { path, sha256 } = items[index];
    return [cell(path), digit, sha256, data.run].join(",");
  });
  return ["path,digit,sha256,run", ...lines, ""].join("\n");
}

/**
 * The same of numbers: a row for each digit that follows from them, with what the network saw of
 * it, where what is right has as many signs as what was read; else one row without a digit.
 */
function numbersAsCsv() {
  const lines = [...corrections].sort(([a], [b]) => a - b).flatMap(([index, number]) => {
    const item = items[index];
    const seen = item.signs.length === number.length
      ? sheetOf(item).signs[index % data.perSheet] : [];
    const row = (digit, place, image) => [
      cell(item.path), digit, item.sha256, data.run, cell(number), place, image,
      ...(FORMS ? [item.cell] : []),
    ].join(",");
    const rows = [...number].flatMap((sign, place) => (
      /[0-9]/.test(sign) && seen[place] ? [row(sign, place + 1, seen[place])] : []));
    return rows.length ? rows : [row("", "", "")];
  });
  const heading = `path,digit,sha256,run,number,place,image${FORMS ? ",cell" : ""}`;
  return [heading, ...lines, ""].join("\n");
}

function cell(path) {
  // A spreadsheet would take such a name for a formula, and run it; ./ before it changes nothing.
  const safe = /^[=+\-@\t\r]/.test(path) && !NUMBER.test(path) ? `./${path}` : path;
  return /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function download() {
  const url = URL.createObjectURL(new Blob([correctionsAsCsv()], { type: "text/csv" }));
  make("a", { href: url, download: "corrections.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  saved = true;
  byId("list").focus({ preventScroll: true });
  const stored = data.run
    ? "Write it to the stored results: python digit_classification_detector.py"
      + " --apply-corrections corrections.csv. " : "";
  say(`Saved as corrections.csv, where your browser keeps downloads. ${stored}Train on it: `
    + "python digit_classification_model_trainer.py --corrections corrections.csv", true, 30_000);
}

// -------------------------------------------------------------------------- keyboard and pointer

function moveTo(position) {
  chosen = true;
  current = Math.max(0, Math.min(shown.length - 1, position));
  reveal(current);
  refresh();
}

/** Scroll as little as brings the card at `position` between the filters and the dock. */
function reveal(position) {
  const row = rows[rowOf(position)];
  if (!row) return;
  const list = byId("list").getBoundingClientRect().top;
  const ceiling = document.querySelector("nav").getBoundingClientRect().height + CARD.gap;
  const floor = innerHeight - byId("dock").getBoundingClientRect().height - CARD.gap;
  const heading = row.first === 0 ? HEADING_HEIGHT : 0;
  const top = list + row.top - heading;
  const bottom = list + row.top + row.height;
  if (top < ceiling) scrollBy(0, top - ceiling);
  else if (bottom > floor) scrollBy(0, bottom - floor);
  draw();
}

/** The position one row up (-1) or down (1), in the same column as far as that row goes. */
function beside(position, step) {
  const here = rowOf(position);
  for (let number = here + step; rows[number]; number += step) {
    const row = rows[number];
    if (row.count) return row.first + Math.min(position - rows[here].first, row.count - 1);
  }
  return position;
}

function page(position, step) {
  const rowsInView = Math.max(1, Math.floor(innerHeight / 2 / (CARD.height + CARD.gap)));
  for (let times = 0; times < rowsInView; times += 1) position = beside(position, step);
  return position;
}

const CHOICES = {
  a: "all", u: "uncertain", r: "rejected", e: "error", o: "ok", c: "corrected",
  ...(known ? { w: "wrong" } : {}),
};

const MOVES = {
  ArrowLeft: () => current - 1,
  ArrowRight: () => current + 1,
  ArrowUp: () => beside(current, -1),
  ArrowDown: () => beside(current, 1),
  PageUp: () => page(current, -1),
  PageDown: () => page(current, 1),
  Home: () => 0,
  End: () => shown.length - 1,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (CHOICES[event.key]) {
    choose({ status: CHOICES[event.key] });
  } else if (!shown.length) {
    return;
  } else if (MOVES[event.key]) {
    const target = MOVES[event.key]();
    if (event.shiftKey) tick(Math.max(0, Math.min(shown.length - 1, target)), true);
    else anchor = Math.max(0, Math.min(shown.length - 1, target));
    moveTo(target);
  } else if (NUMBERS && (/^[0-9-]$/.test(event.key) || event.key === "Enter")) {
    const field = byId("number");
    if (field.disabled) return;
    if (event.key !== "Enter") field.value = event.key;
    field.focus();
    if (event.key === "Enter") field.select();
  } else if (!NUMBERS && /^[0-9]$/.test(event.key)) {
    answer(Number(event.key));
  } else if (event.key === " ") {
    tick(current, false);
    refresh();
  } else if (event.key === "Backspace" || event.key === "Delete") {
    answer(null);
  } else if (event.key === "Escape") {
    ticked.clear();
    refresh();
  } else {
    return;
  }
  event.preventDefault();
}

function onClick(event) {
  const card = event.target.closest(".card");
  if (!card) return;
  const position = Number(card.dataset.position);
  current = position;
  chosen = true;
  if (event.shiftKey) tick(position, true);
  else if (event.target.closest(".tick") || event.ctrlKey || event.metaKey) tick(position, false);
  anchor = position;
  refresh();
  reveal(position);
}

// Where no control has the keys, the list does.
addEventListener("keydown", (event) => {
  if (event.target === byId("list") || event.target === document.body) onKey(event);
});
byId("list").addEventListener("click", onClick);
byId("download").addEventListener("click", download);
byId("anew").addEventListener("click", startAnew);
addEventListener("scroll", drawSoon, { passive: true });
addEventListener("resize", () => { layOut(); updateDock(); });
addEventListener("storage", onStorage);
addEventListener("beforeunload", (event) => {
  if (!saved && unkept.size) event.preventDefault();
});

document.body.classList.toggle("numbers", NUMBERS);
if (takeUp()) {
  const number = corrections.size;
  say(number === 1 ? "One correction is here from before." : (
    `${count(number)} corrections are here from before.`), true, 12_000);
}
drawHead();
drawFilters();
drawAnswers();
layOut();
updateDock();
if (chosen) {
  byId("list").focus({ preventScroll: true });
  reveal(current);
}
