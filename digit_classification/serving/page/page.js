// Draws, sends pictures to the server that the page came from, and shows what it answers.

const STORED_IN = document.body.dataset.stored;
const PAD_HEIGHT = 400;  // pixels
const SENT = 0.5;  // of these: enough to read, and read twice as fast
const WIDTHS = {digit: 400, number: 1000};
const PEN = {digit: 26, number: 18};
const STEP = 12;  // pixels that an arrow key moves the pen
const SAID_SECONDS = 4;
const SIDE = 28;
const LONG = 6;  // signs of a number that needs smaller type

const $$ = (id) => document.getElementById(id);
const pad = $$("pad");
const paper = pad.getContext("2d");

let read = document.body.dataset.read;
let strokes = [];
let stroke = null;  // the one that is being drawn
let pen = {x: 0.5, y: 0.3, shown: false, down: false};  // moved by keys, in shares of the pad
let drawing = null;  // the entry of what is on the pad
let chosen = null;  // the entry that is shown
const entries = [];  // pictures, and drawings that were stored

// ---------------------------------------------------------------------------------- drawing

function paint(context, ink, background) {
  context.clearRect(0, 0, pad.width, pad.height);
  if (background) {
    context.fillStyle = background;
    context.fillRect(0, 0, pad.width, pad.height);
  }
  context.strokeStyle = context.fillStyle = ink;
  context.lineWidth = PEN[read];
  context.lineCap = context.lineJoin = "round";
  for (const points of strokes) {
    context.beginPath();
    if (points.length === 1) {
      context.arc(points[0].x, points[0].y, PEN[read] / 2, 0, 2 * Math.PI);
      context.fill();
      continue;
    }
    context.moveTo(points[0].x, points[0].y);
    for (let i = 1; i < points.length - 1; i++) {  // a curve through the middle between points
      const [here, next] = [points[i], points[i + 1]];
      context.quadraticCurveTo(here.x, here.y, (here.x + next.x) / 2, (here.y + next.y) / 2);
    }
    context.lineTo(points.at(-1).x, points.at(-1).y);
    context.stroke();
  }
}

function repaint() {
  const style = getComputedStyle(pad);
  paint(paper, style.color);
  if (pen.shown) {
    paper.strokeStyle = style.getPropertyValue("--accent");
    paper.lineWidth = pen.down ? 6 : 2;
    paper.beginPath();
    paper.arc(pen.x * pad.width, pen.y * pad.height, PEN[read] / 2 + 4, 0, 2 * Math.PI);
    paper.stroke();
  }
  $$("invitation").hidden = strokes.length > 0;
  $$("undo").disabled = $$("clear").disabled = strokes.length === 0;
  $$("store").disabled = !drawing;
}

function place(event) {
  const frame = pad.getBoundingClientRect();
  return {
    x: (event.clientX - frame.left) * pad.width / frame.width,
    y: (event.clientY - frame.top) * pad.height / frame.height,
  };
}

pad.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || stroke) return;
  pad.setPointerCapture(event.pointerId);
  pen.shown = pen.down = false;
  stroke = [place(event)];
  strokes.push(stroke);
  repaint();
});
pad.addEventListener("pointermove", (event) => {
  if (!stroke || !pad.hasPointerCapture(event.pointerId)) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  stroke.push(...(moves.length ? moves : [event]).map(place));
  repaint();
});
for (const end of ["pointerup", "pointercancel"]) {
  pad.addEventListener(end, (event) => {
    if (stroke && pad.hasPointerCapture(event.pointerId)) lift();
  });
}

function lift() {
  stroke = null;
  readDrawing();
}

pad.addEventListener("keydown", (event) => {
  const moves = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  const move = moves[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey || !(move || event.key === " ")) return;
  event.preventDefault();
  pen.shown = true;
  if (move) {
    pen.x = Math.min(1, Math.max(0, pen.x + move[0] * STEP / pad.width));
    pen.y = Math.min(1, Math.max(0, pen.y + move[1] * STEP / pad.height));
  } else {
    pen.down = !pen.down;
    if (pen.down) strokes.push(stroke = []);
  }
  if (pen.down) stroke.push({x: pen.x * pad.width, y: pen.y * pad.height});
  if (stroke && !pen.down) lift();
  repaint();
});
pad.addEventListener("blur", () => {
  if (pen.down) lift();
  pen.shown = pen.down = false;
  repaint();
});

function undo() {
  strokes.pop();
  stroke = null;
  pen.down = false;
  readDrawing();
}

function clear() {
  strokes = [];
  stroke = null;
  pen.down = false;
  readDrawing();
}

async function readDrawing() {
  const lifted = performance.now();
  const entry = drawing = strokes.length ? {name: "drawing.png"} : null;
  repaint();
  if (!entry) {
    if (chosen && !entries.includes(chosen)) show(null);
    return;
  }
  const sheet = new OffscreenCanvas(SENT * pad.width, SENT * pad.height);
  const context = sheet.getContext("2d", {alpha: false});
  context.scale(SENT, SENT);
  paint(context, "#000", "#fff");
  entry.blob = await sheet.convertToBlob();
  await look(entry, {store: false});
  if (entry !== drawing) {  // it was drawn on meanwhile
    forget(entry);
    return;
  }
  show(entry);
  requestAnimationFrame(() => {
    entry.milliseconds = performance.now() - lifted;
    if (entry === chosen) showTime(entry);
  });
}

// ---------------------------------------------------------------------------------- asking

async function look(entry, {store}) {
  const question = new URLSearchParams({read, name: entry.name, ...(store ? {store: "yes"} : {})});
  entry.read = read;
  entry.url ??= URL.createObjectURL(entry.blob);
  try {
    const response = await fetch(`look?${question}`, {
      method: "POST",
      body: entry.blob,
      headers: {"Content-Type": "application/octet-stream"},
    });
    const answer = await response.json();
    if (response.ok) Object.assign(entry, answer, {stored: store && answer.run !== null});
    entry.problem = response.ok ? null : answer.error;
  } catch {
    entry.problem = "The server does not answer: start it again.";
  }
}

function forget(entry) {
  if (entry?.url && !entries.includes(entry)) URL.revokeObjectURL(entry.url);
}

async function take(files) {
  for (const file of files) {
    const entry = {name: file.name || "pasted.png", blob: file};
    await look(entry, {store: STORED_IN !== ""});
    add(entry);
  }
}

async function store() {
  const entry = drawing;
  if (!entry || !STORED_IN) return;
  await look(entry, {store: true});
  if (entry.problem) {
    say(entry.problem);
    return;
  }
  add(entry);
  say(`Stored as ${entry.row.path}.`);
  if (entry === drawing) {
    strokes = [];
    drawing = null;
    repaint();
  }
}

// ---------------------------------------------------------------------------------- showing

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function make(tag, content = "", properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...[content].flat());
  return element;
}

function pixels(base64, canvas = make("canvas")) {
  canvas.width = canvas.height = SIDE;
  const image = new ImageData(SIDE, SIDE);
  const bytes = atob(base64);
  for (let i = 0; i < bytes.length; i++) {
    image.data.fill(bytes.charCodeAt(i), 4 * i, 4 * i + 3);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

const textOf = (result) => result.number ?? (result.digit === null ? "" : String(result.digit));

function inWords(entry) {
  if (entry.problem) return entry.problem;
  const {result} = entry;
  const text = textOf(result);
  return text ? `${text}, ${percent(result.confidence)}, ${result.status}`
    : `${result.status}: ${result.reason}`;
}

function show(entry) {
  if (chosen !== entry) forget(chosen);
  chosen = entry;
  for (const each of entries) each.card.setAttribute("aria-pressed", each === entry);
  $$("reading").hidden = !entry?.result;
  if (!entry) return;
  say(inWords(entry), {seen: Boolean(entry.problem)});
  if (!entry.result) return;
  const {result} = entry;
  const text = textOf(result);
  $$("reading").dataset.status = result.status;
  $$("text").textContent = text;
  $$("text").classList.toggle("long", text.length > LONG);
  $$("status").textContent = result.status;
  $$("share").textContent = text ? percent(result.confidence) : "";
  $$("reason").textContent = result.reason ?? "";
  $$("name").textContent = entry.name;
  showPicture(entry);
  showSigns(entry);
  showWays(entry);
  showRow(entry);
  showTime(entry);
}

function showTime({milliseconds}) {
  $$("time").textContent = milliseconds
    ? `${Math.round(milliseconds)} ms after the pen was lifted` : "";
}

function showPicture(entry) {
  const image = $$("sent");
  image.onload = () => placeBoxes(entry);
  // What the browser cannot show, such as TIFF, the server has made smaller.
  image.onerror = () => {
    image.onerror = null;
    if (entry.thumbnail) image.src = `data:image/webp;base64,${entry.thumbnail}`;
    else image.removeAttribute("src");
  };
  $$("boxes").replaceChildren();
  image.src = entry.url;
}

function placeBoxes({result, ways}) {
  const boxes = result.digits?.map(({box}) => [box.left, box.top, box.width, box.height])
    ?? ways.slice(0, 1).map(({box}) => box);
  const image = $$("sent");
  const place = {left: image.offsetLeft, top: image.offsetTop};
  Object.assign($$("boxes").style, {
    left: `${place.left}px`, top: `${place.top}px`,
    width: `${image.offsetWidth}px`, height: `${image.offsetHeight}px`,
  });
  $$("boxes").replaceChildren(...boxes.map((box) => {
    const frame = make("i");
    const [left, top, width, height] = box.map((share) => `${100 * share}%`);
    Object.assign(frame.style, {left, top, width, height});
    return frame;
  }));
}

function showSigns(entry) {
  const {result, seen, signs} = entry;
  const digits = result.digits ?? [];
  const isDigit = !result.digits;
  $$("whole").hidden = isDigit ? !seen : true;
  if (isDigit && seen) pixels(seen, $$("digit"));
  const buttons = digits.map((sign, place) => {
    const image = signs[place];
    const parts = [make("span", sign.text), make("small", percent(sign.confidence))];
    const button = make("button", image ? [pixels(image), ...parts] : parts, {type: "button"});
    button.disabled = !sign.probabilities;
    button.addEventListener("click", () => choose(place));
    return button;
  });
  const choose = (place) => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === place));
    showBars(digits[place].probabilities, `, place ${place + 1}`);
  };
  $$("signs").replaceChildren(...buttons);
  if (isDigit) {
    showBars(result.probabilities, "");
    return;
  }
  const readable = digits.map((sign, place) => ({...sign, place}))
    .filter((sign) => sign.probabilities).sort((a, b) => a.confidence - b.confidence);
  if (readable.length) choose(readable[0].place);  // the one that is in doubt
  else showBars(null);
}

function showBars(probabilities, where) {
  document.querySelector(".chart").hidden = !probabilities;
  if (!probabilities) return;
  const best = probabilities.indexOf(Math.max(...probabilities));
  $$("bars-title").textContent = `Probability of each digit in %${where}`;
  $$("bars").setAttribute("aria-label", probabilities
    .map((share, digit) => `${digit}: ${percent(share)}`).join(", "));
  $$("bars").replaceChildren(...probabilities.map((share, digit) => {
    const bar = make("i");
    bar.style.height = `${Math.round(78 * share)}px`;
    const shown = share < 0.001 ? "" : (100 * share).toFixed(1);
    return make("div", [make("span", shown), bar, make("b", String(digit))],
      {className: digit === best ? "bar best" : "bar"});
  }));
}

function showWays({ways, compared}) {
  $$("ways").hidden = !ways.length;
  $$("ways-title").textContent = compared > 1
    ? `Ways to see it, of ${compared} compared: how far each is believed`
    : "Seen in one way, which convinces: how far it is believed";
  $$("proposals").replaceChildren(...ways.map(({seen, digit, weight}) =>
    make("span", [pixels(seen), String(digit), make("small", percent(weight))])));
}

function showRow(entry) {
  $$("row-title").textContent = entry.stored ? `Stored in run ${entry.run}` : "What would be stored";
  const rows = Object.entries(entry.row)
    .filter(([column, value]) => value !== null && value !== "" && !/^p\d$/.test(column));
  if (entry.row.p0 !== null) rows.push(["p0 to p9", "the ten probabilities"]);
  if (entry.result.digits?.length) {
    rows.push(["classified_digits", `${entry.result.digits.length} rows, one for each sign`]);
  }
  $$("row").replaceChildren(...rows.flatMap(([column, value]) =>
    [make("dt", column), make("dd", typeof value === "number" && !Number.isInteger(value)
      ? value.toFixed(6) : String(value))]));
}

function add(entry) {
  const {result, problem} = entry;
  const image = make("img", [], {alt: "", src: entry.url});
  image.onerror = () => {
    image.onerror = null;
    if (entry.thumbnail) image.src = `data:image/webp;base64,${entry.thumbnail}`;
    else image.remove();
  };
  const text = problem ? "" : textOf(result);
  const state = problem ?? (text ? `${percent(result.confidence)} ${result.status}`
    : `${result.status}: ${result.reason}`);
  entry.card = make("button", [
    make("span", image, {className: "frame"}),
    make("span", [make("strong", text), make("em", state)]),
    make("bdi", entry.name, {className: "file"}),
  ], {type: "button"});
  entry.card.dataset.status = problem ? "error" : result.status;
  entry.card.addEventListener("click", () => show(entry));
  entries.unshift(entry);
  $$("cards").prepend(entry.card);
  $$("pictures").hidden = false;
  $$("count").textContent = entries.length;
  show(entry);
}

let saying;
function say(text, {seen = true} = {}) {
  const said = $$("said");
  said.textContent = text;
  said.classList.toggle("seen", seen);
  clearTimeout(saying);
  saying = setTimeout(() => said.classList.remove("seen"), 1000 * SAID_SECONDS);
}

// ---------------------------------------------------------------------------------- controls

function readAs(what) {
  read = what;
  document.body.classList.toggle("numbers", read === "number");
  for (const button of document.querySelectorAll("#reads button")) {
    button.setAttribute("aria-pressed", button.dataset.read === read);
  }
  pad.width = WIDTHS[read];
  pad.height = PAD_HEIGHT;
  readDrawing();
}

for (const button of document.querySelectorAll("#reads button")) {
  button.addEventListener("click", () => readAs(button.dataset.read));
}
$$("undo").addEventListener("click", undo);
$$("clear").addEventListener("click", clear);
$$("store").addEventListener("click", store);
$$("files").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") undo();
  else if (event.key === "Escape") clear();
  else if (event.key === "Enter" && (event.target === pad || event.target === document.body)) store();
  else return;
  event.preventDefault();
});
document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (!hasFiles(event)) return;
  event.preventDefault();
  take([...event.dataTransfer.files]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

$$("storing").textContent = STORED_IN
  ? `Pictures are stored in ${STORED_IN}, drawings when you press Store.`
  : "Nothing is stored: --database was not given.";
$$("store").hidden = !STORED_IN;
$$("reads").hidden = document.body.dataset.numbers !== "yes";
readAs(read);
