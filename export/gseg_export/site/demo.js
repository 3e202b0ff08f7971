// A photo through the model, without a server: letterbox, infer, and the class colours over the photo.
const RUNTIME = "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
const find = (id) => document.getElementById(id);

function say(text, failed = false) {
  find("status").textContent = text;
  find("status").className = failed ? "failed" : "";
}

// Where the photo lies in the square, as gseg_runtime/geometry.py puts it.
function letterbox(photo, size) {
  const scale = size / Math.max(photo.width, photo.height);
  const width = Math.max(1, Math.round(photo.width * scale));
  const height = Math.max(1, Math.round(photo.height * scale));
  return { left: Math.floor((size - width) / 2), top: Math.floor((size - height) / 2), width, height };
}

// uint8 [1, S, S, 3], RGB.
function squareOf(photo, box, card) {
  const canvas = new OffscreenCanvas(card.input_size, card.input_size);
  const context = canvas.getContext("2d");
  context.fillStyle = `rgb(${card.fill.join(" ")})`;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "black"; // behind what is transparent, as gseg segment has it
  context.fillRect(box.left, box.top, box.width, box.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(photo, box.left, box.top, box.width, box.height);
  const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
  return Uint8Array.from({ length: (rgba.length / 4) * 3 }, (_, index) => rgba[Math.floor(index / 3) * 4 + (index % 3)]);
}

// The labels in class colours, half transparent; the background and ignored pixels stay clear.
function coloured(labels, card) {
  const size = card.input_size;
  const canvas = new OffscreenCanvas(size, size);
  const image = new ImageData(size, size);
  labels.forEach((label, index) => {
    const color = label ? card.classes[label]?.color : null;
    if (!color) return;
    const rgb = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
    image.data.set([...rgb, 128], 4 * index);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function draw(photo, box, labels, card) {
  const canvas = find("shown");
  canvas.width = photo.width;
  canvas.height = photo.height;
  const context = canvas.getContext("2d");
  context.drawImage(photo, 0, 0);
  context.imageSmoothingEnabled = false;
  const { left, top, width, height } = box;
  context.drawImage(coloured(labels, card), left, top, width, height, 0, 0, photo.width, photo.height);
  canvas.hidden = false;
}

async function start() {
  const ort = await import(RUNTIME).catch(() => {
    throw new Error("onnxruntime-web is missing: npm install --prefix . onnxruntime-web");
  });
  const card = await (await fetch("card.json")).json();
  const session = await ort.InferenceSession.create("model.onnx");
  for (const { name, color } of card.classes.slice(1)) {
    const entry = document.createElement("span");
    const patch = document.createElement("i");
    patch.style.background = color;
    entry.append(patch, name);
    find("classes").append(entry);
  }

  async function segment(file) {
    try {
      const photo = await createImageBitmap(file);
      const box = letterbox(photo, card.input_size);
      const shape = [1, card.input_size, card.input_size, 3];
      const begin = performance.now();
      const images = new ort.Tensor("uint8", squareOf(photo, box, card), shape);
      const { labels } = await session.run({ images }, ["labels"]);
      draw(photo, box, labels.data, card);
      say(`${file.name}: ${Math.round(performance.now() - begin)} ms`);
    } catch (error) {
      say(`${file.name}: ${error.message}`, true);
    }
  }

  const drop = find("drop");
  const segmentChosen = () => find("file").files[0] && segment(find("file").files[0]);
  find("file").addEventListener("change", segmentChosen);
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) segment(event.dataTransfer.files[0]);
    });
  }
  say("ready");
  segmentChosen(); // while the model was still on its way
}

start().catch((error) => say(error.message, true));
