// One photo, its overlay, and the files to keep.
const ENDINGS = { png: ".png", coco: ".coco.json", labelme: ".json" };
const find = (id) => document.getElementById(id);

async function ask(photo, form) {
  const response = await fetch(`segment?as=${form}`, { method: "POST", body: photo });
  if (response.ok) return { blob: await response.blob(), confidence: response.headers.get("Gseg-Confidence") };
  const { error, hint } = await response.json();
  throw new Error(hint ? `${error}: ${hint}` : error);
}

// An address of what the server answered; the one before is given back.
function put(element, attribute, blob) {
  if (element[attribute].startsWith("blob:")) URL.revokeObjectURL(element[attribute]);
  element[attribute] = URL.createObjectURL(blob);
  element.hidden = false;
}

async function segment(photo) {
  const status = find("status");
  status.className = "";
  status.textContent = "segmenting ...";
  try {
    const start = performance.now();
    const { blob, confidence } = await ask(photo, "overlay");
    put(find("shown"), "src", blob);
    const sure = confidence ? `, ${Math.round(confidence * 100)}% sure` : "";
    status.textContent = `${photo.name}: ${Math.round(performance.now() - start)} ms${sure}`;
    for (const form of ["png", "coco", "labelme"]) {
      put(find(form), "href", (await ask(photo, form)).blob);
      find(form).download = photo.name.replace(/\.[^.]*$/, "") + ENDINGS[form];
    }
  } catch (error) {
    status.className = "failed";
    status.textContent = error.message;
  }
}

async function describe() {
  const { device, card } = await (await fetch("model")).json();
  find("model").textContent = `${card.classes.length} classes, ${card.input_size} px, ${device}`;
  for (const { name, color } of card.classes.slice(1)) {
    const entry = document.createElement("span");
    const patch = document.createElement("i");
    patch.style.background = color;
    entry.append(patch, name);
    find("classes").append(entry);
  }
}

const drop = find("drop");
find("file").addEventListener("change", (event) => event.target.files[0] && segment(event.target.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) segment(event.dataTransfer.files[0]);
  });
}
find("address").textContent = location.href;
describe();
