/** Every English text of the page, in one place. */
import type { Kept } from "./lib/source";
import type { Copied, Subject } from "./lib/types";

// ---- panels ----

const counted = (count: number): string => count.toLocaleString("en");
const images = (count: number): string => (count === 1 ? "1 image" : `${counted(count)} images`);

const files = (count: number): string => (count === 1 ? "1 file" : `${counted(count)} files`);

/** Bytes as people say them: 850 kB, 12 MB, 1.4 GB. */
const size = (bytes: number): string => {
  const [unit, name] = bytes >= 1e9 ? [1e9, "GB"] : bytes >= 1e6 ? [1e6, "MB"] : [1e3, "kB"];
  const amount = bytes === 0 ? 0 : Math.max(1, bytes / unit);
  return `${amount < 10 && unit > 1e3 ? amount.toFixed(1) : counted(Math.round(amount))} ${name}`;
};

/** Of work of which a part is kept. */
const goOn = "You can stop it and go on later.";

type Shares = [number, number, number];
const between = ([low, middle, high]: Shares): string =>
  `${Math.round(100 * middle)}% (${Math.round(100 * low)} to ${Math.round(100 * high)}%)`;

export const panelTexts = {
  counted,
  images,
  bytes: size,
  row: (row: number) => `#${row}`,
  rowSpoken: (row: number) => `row ${row}`,
  noLabel: "no label",
  noValue: "none",
  loading: "Loading …",
  colourBy: "Colour",
  more: "More",
  nearlyAll: "over 99%",
  nearlyNone: "under 1%",
  retry: "Try again",
  close: "Close",
  copied: "Copied",
  copyCommand: "Copy the command",

  search: {
    label: "Search: a class, a file name, #row, or an image",
    placeholder: "Search labels, files, or drop a photo",
    placeholderStill: "Search labels or files",
    suggestions: "Suggestions",
    choose: "Search by an image from your disk",
    stillImage: "Searching by a new image needs the server: this page is a report.",
    drop: "Drop an image to find its look-alikes",
    dropMore: "It is embedded on this machine and is not kept.",
    dropStill: "This page is a report: a new image needs the server (dinoscope explore).",
    notAnImage: (name: string) => `${name || "That"} is not an image; use JPEG, PNG, WebP, GIF, BMP or TIFF.`,
    tooLarge: (name: string) => `${name || "That image"} is larger than 20 MB; save it smaller.`,
    openRow: (row: number) => `Open row ${row}`,
    names: (count: string, text: string) => `${count} with “${text}” in the name`,
    nothing: (text: string) => `Nothing here is called “${text}”.`,
    atMost: (count: number) => `${counted(count)} or more images`,
    found: (count: number) => (count === 0 ? "no suggestions" : `${count} suggestion${count === 1 ? "" : "s"}`),
  },

  image: {
    title: "Image",
    emptyTitle: "No image chosen",
    empty: "Click a point on the map, or search, to see an image large with its true nearest neighbours.",
    loading: "Looking at the image …",
    back: "Back",
    toAnswer: "Back to your image",
    failed: "This image could not be loaded.",
    label: "Label",
    file: "File",
    split: "Split",
    caption: "Caption",
    labels: "Labels",
    cluster: "Cluster",
    size: "Pixels",
    pixels: (width: number, height: number) => `${width} × ${height} px`,
    copyName: "Copy the file's name",
    verdict: "What its neighbours say",
    voters: (count: number) => `The ${count} that voted`,
    place: "Its place on this map",
    neighbors: "Nearest neighbours",
    sees: "What DINO sees",
    seesShow: "Show",
    seesTitle: "Show the image patch by patch, as the model sees it",
    seesLayer: "Layer",
    seesOpacity: "How strongly the layer covers the picture",
    seesStage: "The image with its patches. Point at one, or move with the arrow keys, to see which patches are similar.",
    seesColours: "Colours",
    seesForeground: "Foreground",
    seesParts: "Parts",
    seesAttention: "Attention",
    seesMore: {
      colours: "Similar patches have similar colours, in every image of the collection.",
      foreground: "What stands out from the border of the image.",
      parts: "Six groups of patches that recur in the collection.",
      attention: "Where the model looks to describe the whole image: bright counts most.",
    },
    seesSure: (sure: string) => `How clearly it stands out: ${sure} of 1.`,
    seesUnclear: "The foreground is unclear here: do not rely on it.",
    seesSimilar: "Bright patches are the most similar to the one you point at, here and in the nearest neighbours.",
    seesPoint: "Point at a patch to see where else it occurs, here and in the nearest neighbours.",
    seesPin: "Click a patch to keep it.",
    seesPinned: "The frame marks the patch that you chose. Click it again to let it go.",
    seesSearch: "Search the collection",
    seesSearchTitle: "Find where else in the collection there is a patch like this one",
    seesNeed: "This search needs what the model sees of all images, patch by patch.",
    seesTake: (count: number, megabytes: number, seconds: number, resumes: boolean) =>
      `For ${images(count)} it takes about ${megabytes < 10 ? megabytes.toFixed(1) : counted(Math.round(megabytes))} MB on the disk and about ${duration(seconds)}.${resumes ? ` ${goOn}` : ""}`,
    seesKeep: "Prepare the search",
    seesNotNow: "Not now",
    seesBundled: "The bundled model sees coarsely. Official DINO weights see finer: dinoscope embed --model dinov2-small.",
    why: "Why?",
    whyTitle: "Show which parts of each neighbour make it similar to this image",
    whyMore: (most: number) => `Bright areas make the first ${most} similar to it. Without them the similarity falls. Point at one to see it large.`,
    whyPair: "The image and its look-alike",
    whyAsked: "The image that was asked about",
    whySimilarity: (whole: string, without: string) => `Similarity ${whole}, ${without} without the brightest part.`,
    whyLittle: "little",
    whyMuch: "much",
    whyView: "What the pair shows",
    whyHeat: "Heat",
    whyMatches: "Matches",
    whyMatched: (count: number, patches: number, lines: number) =>
      `${counted(count)} of ${counted(patches)} patches match: each is the nearest of the other, and clearly so.${count > lines ? ` Lines show the ${lines} most similar.` : ""}`,
    whyFailed: "The patches of these two could not be compared.",
    whyUnmatched: "No patches match: none is clearly the nearest of another.",
    whyOpacity: "How strongly the colours cover the picture",
    whyWithout: (without: string) => `${without} without the part that matters most`,
    how: (title: string) => `How these were found: ${title}`,
    neighborsMore: "By similarity of their vectors, whatever the map shows.",
    similarity: "similarity",
    differs: "has another label",
    selectNeighbors: "Select all",
    selectNeighborsTitle: (name: string) => `Neighbours of ${name}`,
    showOnMap: "Show on map",
    show: "Show",
    select: "Select",
    noNeighbors: "No neighbours are stored for this image.",
    picture: (name: string) => `Picture of ${name}`,
    part: "Search by a part",
    partMore: "Drag over the picture, or move the frame with the arrow keys, larger and smaller with Shift.",
    partFrame: (left: number, top: number, width: number, height: number) =>
      `The part: ${width}% by ${height}% of it, ${left}% from the left, ${top}% from the top`,
    partSearch: "Search",
    partCancel: "Cancel",
  },

  answer: {
    title: "Answer",
    yours: "Your image",
    part: "Part of",
    here: "Already here:",
    seconds: (seconds: number) =>
      `Answered in ${seconds < 0.01 ? "under 0.01" : seconds < 0.1 ? seconds.toFixed(2) : seconds.toFixed(1)} s.`,
    matches: "Look-alikes in the collection",
    matchesShort: "Look-alikes",
    none: "The collection holds nothing to compare with.",
    waiting: "Looking for its look-alikes …",
    failed: "There is no answer for this image.",
    select: "Select all",
    selectTitle: "Look-alikes of your image",
    placed: "The mark on the map shows where it belongs.",
    show: "Show the answer for your image",
    clear: "Put this image away",
    inside: "Look inside the images",
    insideMore: "Finds what fills only a part of an image. The first time takes a while: nine parts of every image are embedded.",
    looked: "A frame marks the part that is like it.",
    whyTitle: "Show which parts of each look-alike make it similar to your image",
  },

  verdict: {
    says: (count: number, label: string, percent: string) =>
      count === 0 ? `Its neighbours say: ${label}, probability ${percent}` // a report does not keep which they are
        : count === 1 ? `The nearest says: ${label}, probability ${percent}`
        : `The ${count} nearest say: ${label}, probability ${percent}`,
    unknown: "Unknown: too far from everything here to be named",
    nearest: (label: string) => `The nearest are called ${label}.`,
    farOut: (percent: string, label: string) => `It lies further out than ${percent} of ${label}.`,
    // the level is that of all lists together: it promises nothing of a single one
    set: (labels: string) => `Candidates: ${labels}.`,
    setMore: (level: string, measured: string | null, on: string) =>
      (measured === null ? `Such lists should hold the right label in ${level} of cases.`
        : `Such lists held the right label in ${measured} of cases, measured ` +
          `${on === "leave-one-out" ? "with each image left out" : `on the ${on} images`} (asked for: ${level}).`),
    contradicts: (label: string) => `but it is labelled ${label}`,
    how: "How they voted",
    votes: (votes: readonly { label: string; count: number }[]) =>
      `${votes.map(({ label, count }) => `${count}\u00a0×\u00a0${label}`).join(", ")}. ` +
      "The more similar an image, the more its vote counts. The share of the votes is calibrated to a probability where that helps.",
    or: " or ",
  },

  trust: {
    high: (percent: string) => `Well placed: ${percent} of its true neighbours are near it here.`,
    middling: (percent: string) => `Roughly right: ${percent} of its true neighbours are near it here.`,
    low: (percent: string) => `Doubtful: only ${percent} of its true neighbours are near it here; the others lie elsewhere.`,
    none: "Torn away: none of its true neighbours are near it on this map.",
    unknown: "Not judged on this map.",
    bar: "Share of true neighbours kept nearby",
  },

  selection: {
    title: "Selection",
    emptyTitle: "Nothing selected",
    empty: "Hold Shift and drag to draw around images on the map, or search for a label.",
    none: "No image of this model is among them.",
    clear: "Clear the selection",
    allAgain: "Show all",
    narrowed: (shown: number, all: number) => `${counted(shown)} of ${images(all)}`,
    keepOnly: "Keep only these",
    counts: (title: string) => `By ${title.toLowerCase()}`,
    more: (count: number) => `${counted(count)} more`,
    fewer: "Fewer",
    share: (count: number, percent: string) => `${images(count)}, ${percent}`,
    tileSize: "Size",
    pick: "Pick",
    pickHint: "Pick several images: click with Ctrl or Shift, or press Space",
    picked: (count: number) => `${counted(count)} picked`,
    unpick: "Unpick",
    pickedTitle: (count: number) => `${images(count)} picked`,
    query: "Find look-alikes",
    queryHint: "Images that are like all of these together",
    queryMost: (most: number) => `Find look-alikes takes at most ${most} images. Pick some of these.`,
    grid: "Images of the selection",
    export: "Export",
    csv: "Table (CSV)",
    csvMore: "row, name, label, cluster, prediction",
    files: "List of files",
    filesMore: "one name per line",
    collection: "New collection",
    collectionMore: "images and vectors, ready to open",
    collectionStill: "A report cannot write collections; open the collection with dinoscope explore.",
    collectionShown: "This explorer only shows the collection: start it without --read-only to write one.",
    collectionName: "Name of the new collection",
    create: "Create",
    created: (name: string) => `Collection ${name} is ready: dinoscope explore ${name.includes(" ") ? `"${name}"` : name}`,
    exporting: "Writing …",
    nameNeeded: "Give it a name of letters and digits.",
    copyNames: "Copy the names",
    copyNamesMore: "to paste them elsewhere",
    namesCopied: (count: number) => `${counted(count)} ${count === 1 ? "name" : "names"} copied.`,
    namesNotCopied: "The browser did not let the page copy: take the list of files.",
  },

  files: {
    zip: "Files (ZIP)",
    zipMore: "the originals, in their folders; you see the size first",
    size: (count: number, bytes: number | null) => `${files(count)}, ${bytes === null ? "size not known" : `about ${size(bytes)}`}`,
    missing: (count: number) => `${images(count)} ${count === 1 ? "has no file of its name" : "have no files of their names"} any more. The ZIP lists what it leaves out.`,
    download: "Download",
    noOriginals: "To take the files themselves, start the explorer with --images.",
    notShared: "The files themselves stay here: this explorer was started so that others can reach it.",
    copy: (place: string) => `Copy files to ${place}/`,
    copyMore: "into a folder of this name; nothing is overwritten",
    folder: "Name of the folder",
    start: "Copy",
    copying: "Copying",
    measuring: "Adding up the sizes …",
    nameNeeded: "Give the folder a name.",
    copied: ({ done, there, folder, journal }: Copied, place: string) =>
      `${files(done)} copied to ${place}/${folder}${there ? `, ${files(there)} already there` : ""}.${journal ? ` Journal: ${journal}` : ""}`,
    undone: ({ done, folder }: Copied) => `${files(done)} taken away from ${folder} again.`,
    stayed: (count: number) => `${files(count)} left alone:`,
    undo: "Undo",
  },

  findings: {
    title: "Findings",
    loading: "Looking for near-duplicates, outliers, labels to check and leaks …",
    failed: "The findings could not be loaded.",
    kinds: {
      duplicate: "Near-duplicates",
      outlier: "Outliers",
      label_error: "Labels to check",
      leak: "Leaks",
      picture: "Poor pictures",
    },
    tabs: { duplicate: "Duplicates", outlier: "Outliers", label_error: "Labels to check", leak: "Leaks", picture: "Poor pictures" },
    about: {
      duplicate:
        "The same picture: saved again, resized, shifted, re-lit, turned, mirrored, without colour or framed. Copies with two labels come first. Crops of 15% and more and heavy edits are not looked for: to find crops, open an image and choose Look inside the images.",
      outlier: "Images that stand apart: much farther from their nearest neighbours than those are from theirs.",
      label_error: "Labels that the neighbours contradict, the surest first. A listed label can be right.",
      leak: "Near-duplicates in different splits: what a test then measures is memory.",
      picture:
        "Pictures that are blurred, dark, blown out, empty or framed, screenshots and charts, and pictures of an odd size or shape, compared with the others.",
    },
    needsLabels: "This needs labels. Put the images into one folder for each label, and run dinoscope embed again.",
    needsSplits: "This needs splits. Put the images into folders such as train and test, and run dinoscope embed again.",
    none: {
      duplicate: "No near-duplicates were found.",
      outlier: "No outliers were found.",
      label_error: "No labels to check were found.",
      leak: "No leaks between splits were found.",
      picture: "No poor pictures were found.",
    },
    allDismissed: "Everything here is marked as not a problem.",
    showDismissed: (count: number) => `Show dismissed (${counted(count)})`,
    current: (place: number, count: number) => `${counted(place)} of ${counted(count)}`,
    previous: "Previous finding (P)",
    next: "Next finding (N)",
    open: "Open",
    openKey: "Show this image and its neighbours (O)",
    dismissKey: "Mark as not a problem, and go on (X)",
    keys: "N: next, P: previous, X: not a problem, O: open.",
    nearest: "its nearest",
    check: (count: number) => `Check ${count} at random`,
    checkTitle: "Your answers to findings drawn at random say how many of the others are right",
    checkDone: "Back to the list",
    checkAll: "You have checked all of them.",
    confirm: { label_error: "The label is wrong", outlier: "It does not belong" },
    confirmKey: "It is right, and the next one (Y)",
    checkKeys: "Y: it is right, X: not a problem.",
    checked: (kind: "label_error" | "outlier", { checked, right, rest, low, high }: { checked: number; right: number; rest: number; low: number; high: number }) => {
      const are = kind === "label_error" ? "are wrong" : "do not belong";
      const told = `Of ${counted(checked)} drawn at random, ${counted(right)} ${right === 1 ? (kind === "label_error" ? "is wrong" : "does not belong") : are}.`;
      if (rest === 0) return `${told} These are all.`;
      return `${told} Of the other ${counted(rest)}, between ${Math.floor((100 * low) / rest)}% and ${Math.ceil((100 * high) / rest)}% ${are} (90% certain).`;
    },
    dismiss: "Not a problem",
    restore: "It is one",
    dismissed: "Marked as not a problem.",
    undo: "Undo",
    renamed: (label: string, suggested: string) => `${label} → ${suggested}?`,
    twoLabels: "Same picture, two labels",
    suggestionKeep: (file: string) => `Keep ${file}`,
    selectAll: "Select all",
    selfTest: "Self-test",
    list: "List of findings",
    more: (count: number) => `+${counted(count)}`,
    threshold: (threshold: number, answers: number) =>
      `Pairs that score ${threshold.toFixed(2)} or more, ${answers > 0 ? `by ${answers} answers` : "chosen automatically"}. 1 is a copy.`,
    answerPairs: "Answer pairs",
    answerPairsTitle: "Set the threshold by answering, for twenty pairs, whether they show the same picture",
    howMuch: "How blurred is blurred? Choose a kind and answer twenty pictures.",
    pictureKind: "Kind of poor pictures",
    answerPictures: "Answer pictures",
    answerPicturesTitle: "Set the threshold of this kind by answering, for twenty pictures, whether they are of it",
  },

  questions: {
    title: "Questions to answer",
    loading: "Choosing what to ask …",
    picture: "The picture",
    ofPair: (number: number) => `Picture ${number} of the pair`,
    size: (width: number, height: number) => ` · ${width} × ${height}`,
    unsure: "Cannot tell",
    progress: (said: number) => `${said} of 20 answers`,
    few: (left: number, threshold: number) =>
      `${left} more ${left === 1 ? "answer" : "answers"} and the threshold is yours; now it is ${threshold.toFixed(2)}.`,
    tooFew: (threshold: number) => `The threshold stays at ${threshold.toFixed(2)}. What you answered is listed, or not, as you said.`,
    back: "Back",
    forget: "Forget all answers",
    done: "Done",
  },

  numbers: {
    title: "Numbers",
    loading: "Computing scores of this map …",
    failed: "The numbers could not be loaded.",
    empty: "No scores: the collection has too few images for them.",
    scores: "Scores",
    shown: (map: string, model: string) => `This map is drawn by ${map}, from what ${model} sees`,
    groups: {
      map: "This map",
      clusters: "Clusters",
      labels: "Labels",
      "clusters and labels": "Clusters against labels",
      embedding: "Embedding",
      other: "More",
    },
    details: "Details",
    detailsMore: "Bars reach from chance (left) to the best there can be (right).",
    madeOf: "What this map is made of",
    madeOfNote: "Which visible properties the map is sorted by (0: not at all, 1: entirely). Click one to colour the map by it.",
    madeOfLabels: "The labels",
    madeOfMore: (embedding: string, within: string | null, rises: string) =>
      `${embedding} in the embedding${within === null ? "" : `, ${within} within labels`}${rises && `; ${rises}`}`,
    madeOfRow: (name: string, value: string, more: string) => `${name} ${value}: colour the map by it. ${more}`,
    sizes: "Cluster sizes",
    sizesMore: "Length: images; strong part: share of the most common label. Click to select.",
    sizesPlain: "Length: images. Click to select.",
    sizesTraits: "In words: what sets it apart from all other images.",
    cohesion: "Cohesion",
    clusterBar: (cluster: number, size: number, purity: string | null, label: string | null) =>
      `Cluster ${cluster}: ${images(size)}${label === null ? "" : `, mostly ${label}`}${purity === null ? "" : ` (${purity})`}`,
    confusion: "Clusters × labels",
    confusionMore: "Share of each cluster that has each label. Click a cell to select its images.",
    evaluation: "Named by their neighbours",
    evaluationMore: "Each image is left out and named by the others. Where there is a test split, the training images name it.",
    accuracy: "named right",
    perLabel: "Precision and recall",
    perLabelMore: "Precision: how often that name is right. Recall: how often that label is found.",
    precision: "Precision",
    recall: "Recall",
    label: "Label",
    labelConfusion: "Which labels are mixed up",
    labelConfusionMore: "Row: the label; column: what its neighbours say. Click a cell to select its images.",
    cell: (count: number, row: string, column: string, percent: string) => `${row} → ${column}: ${images(count)} (${percent})`,
    cellTitle: (row: string, column: string) => `${row} → ${column}`,
    clusterTitle: (cluster: number | string) => `Cluster ${cluster}`,
    tooMany: (shown: number, what: string, all: number) => `The ${shown} largest of ${counted(all)} ${what}.`,
    clustersName: "clusters",
    labelsName: "labels",
    mistaken: (shown: number, all: number) => `The ${shown} most often mistaken of ${counted(all)}.`,
    worst: "Most frequent mistakes",
  },
};

// ---- what is waited for, what is picked, what went wrong ----

// ---- labels by hand ----

const percents = (low: number, high: number): string => `${Math.floor(100 * low)}% to ${Math.ceil(100 * high)}%`;

/** Each once, with how often where it is not once. */
function tallied(texts: string[]): string {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => (count === 1 ? text : `${counted(count)} ${text}`)).join(", ");
}

export const labelTexts = {
  column: "My labels",
  columnMore: "the label that you gave the image",
  label: "Label",
  labelHint: "Give these images a label or tags",
  asked: "What is asked",
  one: "What is this?",
  again: "You put this one off. What is it?",
  batch: (count: number, label: string) => `Are all ${counted(count)} of these ${label}?`,
  audit: "A random image: the answer shows how right the proposals are.",
  done: "Every image has a label.",
  notKnown: (count: number) => `You did not know ${images(count)}.`,
  othersDone: "All others have a label. These stay without one, or you look at them again.",
  askAgain: "Ask me again",
  waiting: "Choosing what to ask …",
  chosen: (count: number) => `${images(count)} that you chose`,
  picture: (row: number) => `Picture of row ${row}`,
  images: "The images",
  more: (count: number) => `and ${images(count)} more`,
  noProposal: "Type a label. dinoscope proposes the next ones as soon as it has seen a few.",
  proposal: (label: string, probability: number, likely: string[], isLikely: boolean) =>
    `${isLikely ? "Likely" : "Perhaps"} ${label} (${Math.floor(100 * probability)}%)${likely.length > 1 ? `, or ${likely.filter((each) => each !== label).join(", ")}` : ""}.${isLikely ? "" : " Choose a label: Enter takes nothing that is less likely than 50%."}`,
  held: (labels: (string | null)[], tags: string[]) => {
    const told = tallied(labels.map((label) => label ?? panelTexts.noLabel));
    return `${told.charAt(0).toUpperCase()}${told.slice(1)}${tags.length > 0 ? `. Tags: ${tallied(tags)}` : ""}.`;
  },
  source: (label: string) => `In the source: ${label}. From you:`,
  acceptAll: "Yes, all",
  refuse: "No, not all",
  unknown: "I do not know",
  export: "Export labels",
  exportMore: "Save your labels and tags as a CSV table",
  toQuestions: "Back to the questions",
  labels: "Labels",
  field: "Label, or #tag",
  placeholder: "Type a label, or #tag",
  typeHint: "Just type: the field takes the keys.",
  takes: (text: string) => `Enter gives “${text}”.`,
  completes: (text: string, typed: string) => `Enter gives “${text}”, Shift+Enter gives “${typed}”.`,
  undo: "Undo",
  undoKey: "Undo the last step (Backspace or Ctrl+Z)",
  redo: "Redo",
  redoKey: "Do it again (Shift+Backspace or Ctrl+Shift+Z)",
  colour: "Colour the map by my labels",
  batches: "Ask about batches of look-alikes, too",
  keys: "Keys: 1 to 9 for the labels, Enter for a proposal of 50% or more, 0 for “I do not know” or “not all”, Backspace to undo. What you do not know is asked again at the end. Click an image on the map, or draw around some, to label them yourself.",
  progress: "How far you are",
  named: (named: number, count: number) => `${counted(named)} of ${images(count)} have a label from you.`,
  unknownRest: (left: number) =>
    `How many of the other ${counted(left)} are proposed right is not known yet: from the 50th answer on, one question in ten is about a random image, which tells.`,
  rest: (left: number, low: number, high: number, sample: number) =>
    `Of the other ${counted(left)}, ${percents(low, high)} are proposed right: the interval holds in 90 of 100 cases, by ${counted(sample)} random ${sample === 1 ? "answer" : "answers"}.`,
  putOff: (count: number, isLast: boolean, drawn: number) =>
    `You did not know ${isLast ? `the other ${counted(count)}` : `${counted(count)} more`}.${drawn === 0 ? "" : ` ${counted(drawn)} random ${drawn === 1 ? "image has" : "images have"} no answer: the interval allows for right and for wrong.`}`,
  stop: "You may stop: at least 95% of the others are proposed right.",
  taken: (count: number) => `${images(count)} ${count === 1 ? "has" : "have"} the label that dinoscope proposed.`,
  take: (count: number) => (count === 1 ? "Take the last proposal" : `Take all ${counted(count)} proposals`),
  takeMore: (count: number) => `${images(count)} will get the label that dinoscope proposes. The history says so, and you can undo it in one step.`,
  takeThem: "Take them",
  takeNot: "Not now",
};

export const waitTexts = {
  labelling: "Choosing what to ask",
  opening: "Opening the collection",
  map: "Loading the map",
  clusters: (count: number) => `Dividing the images into ${count} clusters`,
  column: (title: string) => `Loading “${title}”`,
  image: "Loading the image",
  lookAlikes: "Searching look-alikes",
  reasons: "Looking for what they have in common",
  patches: "Looking at its patches",
  inside: "Looking inside the images",
  patch: "Looking for this patch",
  pairs: "Looking for patches that match",
  tokens: "Looking at what this search needs",
  colours: "Looking at what this needs",
  keeping: "Looking at all images, patch by patch",
  weights: (name: string) => `Fetching ${name}`,
  names: "Searching file names",
  searching: "Searching",
  findings: "Looking for findings",
  moved: "Comparing the two models",
  remembering: "Remembering",
  numbers: "Computing the scores",
};

export const fewTexts = {
  title: "Pick a few",
  about: (count: number) => `A few of ${images(count)}: those that are most worth a label, or that stand for the others.`,
  count: "How many",
  by: "Which",
  rules: {
    typical: "Typical: the middle of what there is much of",
    coverage: "Coverage: no image far from all picked ones",
    uncertain: "Uncertain: where labelled neighbours disagree",
    balanced: "Balanced: as many of each label",
  },
  balancedClusters: "Balanced: as many of each cluster",
  pick: "Pick",
  picking: "Picking images",
  picked: (count: number, rule: string) => `${images(count)} picked: ${rule.split(":")[0]?.toLowerCase() ?? rule}`,
  result: (distance: number, random: number) =>
    `An image is ${distance.toFixed(2)} from the nearest of these on average. With as many at random it is ${random.toFixed(2)}.`,
};

export const pickTexts = {
  text: (text: string) => `“${text}”`,
  like: (count: number) => (count === 1 ? "Like this image" : `Like these ${count} images`),
  area: "Area of the map",
  chosen: "Chosen images",
};

export const problemTexts = {
  noRow: (row: number, first: number, last: number, hasGaps: boolean) =>
    `There is no row ${row} in this model: its rows run from ${first} to ${last}${hasGaps ? ", with gaps" : ""}.`,
  unexpected: (problem: string) => `Something went wrong: ${problem}`,
  changed: "The collection has changed since this page was opened. Reload the page.",
  noServer: "The server does not answer. Is “dinoscope explore” still running?",
  status: (status: number) => `The server answered with status ${status}.`,
  noRowHere: (row: number) => `There is no image with row ${row} in this report.`,
  incomplete: (id: string) => `This report is incomplete: “${id}” is missing. Make it again with “dinoscope report”.`,
  needsServer: "A new image needs the server: open the collection with “dinoscope explore”.",
  readOnly: "A report cannot be written to: open the collection with “dinoscope explore”.",
};

// ---- map and frame ----

export const mapTexts = {
  label: (title: string, count: number) => `Map ${title} of ${images(count)}`,
  keys: "Arrow keys move the map, or go from neighbour to neighbour while an image is open. + and - zoom, 0 shows everything, Enter opens the image in the middle.",
  empty: "No image is here.",
  noLabel: "no label",
  predicted: (label: string, predicted: string) => `${label} → ${predicted}?`,
  cluster: (name: string) => (/^Cluster \d+$/.test(name) ? name : `Cluster: ${name}`),
  noWebGL: "This browser has no WebGL: the map is drawn plainly, with a sample of the points. All else works.",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  everything: "Show everything",
  lasso: "Lasso: draw around images to select them (or hold Shift and drag). Shift adds to a selection, Alt takes from it",
  box: "Box: draw a box around images to select them. Shift adds to a selection, Alt takes from it",
  size: "Size of the pictures",
  colours: "What DINO sees: draw the thumbnails in the colours of their patches. Similar patches have similar colours, in all images.",
  tools: "Map tools",
};

export const frameTexts = {
  brand: "dinoscope",
  settings: "What the map shows",
  model: "Model",
  map: "Map",
  beside: "Beside it",
  noBeside: "nothing",
  noColour: "nothing",
  colour: "Colour by",
  notReady: (title: string, seconds: number | null) => `${title} · ${seconds === null || seconds < 3 ? "a moment" : `about ${duration(seconds)}`}`,
  theme: { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" },
  panels: "Panels",
  panel: { image: "Image", selection: "Selection", filter: "Filter", findings: "Findings", label: "Label", moved: "Moved", numbers: "Numbers" },
  partnersMap: (partner: string, map: string) => `${partner} · ${map}`,
  collapse: "Close the panel",
  draw: "Height of the panel: drag, or press for the next of three",
  search: "Search",
  dismiss: "Close this message",
  running: (done: number, total: number, perSecond: number, left: number) =>
    `Embedding: ${counted(done)} of ${images(total)}, ${perSecond.toFixed(0)} a second, ${duration(left)} left`,
  inside: (done: number, total: number, left: number | null) =>
    `Looking inside: ${counted(done)} of ${images(total)}${left === null ? "" : `, ${duration(left)} left`}`,
  keeping: (what: Kept, done: number, total: number, left: number | null) =>
    `${what === "colours" ? "Looking at the patches" : "Preparing the search"}: ${counted(done)} of ${images(total)}${left === null ? "" : `, ${duration(left)} left`}`,
  coloursNeed: (count: number) => `Before the map can show what DINO sees, dinoscope must look at ${images(count)} once.`,
  coloursTake: (seconds: number, resumes: boolean) => `That takes about ${duration(seconds)}.${resumes ? ` ${goOn}` : ""}`,
  coloursKeep: "Look at them",
  notNow: "Not now",
  reading: (done: number, total: number, left: number | null) =>
    `Reading what this search compares: ${Math.round((100 * done) / total)}%${left === null ? "" : `, ${duration(left)} left`}`,
  computing: (title: string, seconds: number | null, steps: { done: number; total: number; secondsLeft: number | null } | null) => {
    if (steps === null) return `Computing ${title} for the first time${seconds === null ? "" : `, about ${duration(seconds)}`}`;
    return `Computing ${title}: ${Math.round((100 * steps.done) / steps.total)}%${steps.secondsLeft === null ? "" : `, ${duration(steps.secondsLeft)} left`}`;
  },
  cancel: "Cancel",
  finished: "The embedding has finished.",
  refresh: "Show new images",
  shown: (visible: number, total: number) => `${counted(visible)} of ${images(total)} in colour`,
};

export const weightsTexts = {
  title: "Missing weights",
  needed: (name: string) => `This needs the model ${name}, whose weights are not on the machine that serves this page.`,
  fetch: (name: string, megabytes: number | null, licence: string) =>
    `Fetch ${name} (${megabytes === null ? "size unknown" : `${counted(Math.round(megabytes))} MB`}${licence ? `, ${licence}` : ""})`,
  from: (repository: string) => `From huggingface.co/${repository}, once.`,
  licence: "Licence",
  unknown: "Licence and size: see its page.",
  obstacle: (reason: string, name: string) =>
    `The page cannot fetch them, because ${reason}. Another way: “dinoscope models fetch ${name}” in a terminal.`,
  coming: (name: string, done: number, total: number, left: number | null) =>
    `Fetching ${name}: ${counted(Math.round(done / 1e6))} of ${counted(Math.round(total / 1e6))} MB${left === null ? "" : `, ${duration(left)} left`}`,
  begun: (name: string) => `Fetching ${name} …`,
  dismiss: "Do without",
};

export const welcomeTexts = {
  click: "Click",
  clickMore: "an image to see its look-alikes",
  drag: "Shift-drag",
  dragMore: "to select an area",
  drop: "Drop a photo",
  dropMore: "to find similar ones",
  keys: "All keys",
  dismiss: "Got it",
  close: "Close",
  list: [
    ["/", "Search"],
    ["Arrow keys", "Move the map; with an image open, go to a neighbour and back"],
    ["+ and -", "Zoom"],
    ["0", "Show everything"],
    ["Enter", "Open the image in the middle of the map"],
    ["Shift-drag", "Select an area, or add it to the selection"],
    ["Alt-drag", "Take an area from the selection"],
    ["N, P, X, O", "In Findings: next, previous, not a problem, open"],
    ["N, P, O", "In Moved: next, previous, open"],
    ["Y", "In Findings drawn at random: it is right"],
    ["S, D, ?", "While you answer pairs: same, different, cannot tell"],
    ["Y, N, ?", "While you answer pictures: yes, no, cannot tell"],
    ["Escape", "Close what is open, or clear the selection"],
    ["?", "Show these keys"],
  ] as const,
};

/** A share of a few neighbours: exact where it is below one. */
const mean = (value: number): string => (value >= 0.95 ? value.toFixed(1) : value >= 0.01 ? value.toFixed(2) : "less than 0.01");

export const movedTexts = {
  title: "What moved most",
  list: "Images whose neighbours changed most",
  shared: (k: number, shared: number, chance: number) =>
    `On average both models find ${mean(shared)} of an image's ${k} nearest neighbours. With neighbours drawn at random they would share ${mean(chance)}.`,
  matched: (both: number, here: number, there: number) =>
    here + there === 0 ? `Both have ${images(both)}, matched by content.`
      : `${images(both)} in both, matched by content; ${counted(here)} only in this model, ${counted(there)} only in the other. Neighbours are those among the images in both.`,
  how: (k: number, partner: string) =>
    `Above, an image's ${k} nearest by this model; below, by ${partner}. A frame marks what both find. First come images that keep fewest, then those whose neighbours went farthest.`,
  keys: "N: next, P: previous, O: open.",
  kept: (kept: number, k: number) => `${kept} of ${k} kept`,
  here: "This model",
  show: (partner: string) => `Show the map of ${partner} beside this one`,
  none: "There is no other model of these images.",
  loading: "Comparing the two models …",
  failed: "The two models could not be compared.",
};

export const columnGroups = {
  data: "Your data",
  groups: "Groups",
  model: "What the model thinks",
  picture: "Picture",
};

export const dataTexts = {
  /** What the columns of files are called, where their name does not say it. */
  ofFile: {
    size: "File size", aspect: "Width by height", focal_length: "Focal length", f_number: "F-number", iso: "ISO",
  } as Partial<Record<string, string>>,
  about: (missing: number) => (missing === 0 ? "from your table or the files" : `from your table or the files; ${images(missing)} without`),
};

const listed = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? "nothing") : `${names.slice(0, -1).join(", ")} or ${names.at(-1) ?? ""}`;
const MOST_NAMED = 3;
const named = (names: readonly string[]): string => (names.length > MOST_NAMED ? `one of ${counted(names.length)} values` : listed(names));

export const filterTexts = {
  title: "Filter",
  chips: "What the images shown have",
  shown: (visible: number, total: number) => `${counted(visible)} of ${images(total)}`,
  all: "Show all",
  remove: (words: string) => `Remove: ${words}`,
  edit: "Change the filter",
  rest: "The other images",
  dimmed: "Grey",
  hidden: "Hidden",
  is: (title: string, values: readonly string[]) => `${title} is ${named(values)}`,
  isNot: (title: string, values: readonly string[]) => `${title} is not ${named(values)}`,
  group: (values: readonly string[]) => named(values),
  notGroup: (values: readonly string[]) => `not ${named(values)}`,
  yes: (title: string) => title,
  no: (title: string) => `not ${title}`,
  none: (title: string) => `no ${title}`,
  some: (title: string) => `some ${title}`,
  value: (title: string, value: string) => `${title} ${value}`,
  between: (low: string, high: string) => (low === high ? low : `${low} to ${high}`),
  contains: (title: string, text: string) => `${title} contains “${text}”`,
  tagged: (tags: readonly string[]) => `tagged ${named(tags)}`,
  tags: "Tags",
  tagsMore: "Images that have one of these tags.",
  choose: (title: string) => `Values of ${title}`,
  nothing: "(none)",
  find: (title: string) => `${title} contains`,
  findPlaceholder: "Type a part of the text",
  colour: (title: string) => `Colour the map by ${title}`,
  only: (value: string) => `Only ${value}`,
  onlyShort: "only",
  clear: (title: string) => `Show all of ${title}`,
  more: (count: number) => `${counted(count)} more`,
  fewer: "Fewer",
  empty: "There is nothing to filter by.",
  matches: (passing: number, all: number) => `${counted(passing)} of these ${counted(all)} pass the filter.`,
  selection: (passing: number, all: number) => `${counted(passing)} of ${images(all)}, filtered`,
  noneSelected: "None of them passes the filter.",
  sort: "Sort by",
  unsorted: "as found",
  ascending: "Smallest first",
  descending: "Largest first",
};

export const legendTexts = {
  title: (column: string) => `Legend: ${column}`,
  toggle: (value: string, count: number) => `${value}: ${images(count)}`,
  hint: "Click to switch off, double-click for only this",
  all: "Show all",
  more: (count: number) => `${counted(count)} more`,
  fewer: "Fewer",
  none: "no value",
  brush: "Drag over the bars to leave only these images in colour; click to show all",
  from: "From",
  to: "To",
  coarse: "Coarse",
  fine: "Fine",
  clusters: "Number of clusters",
  collapse: "Hide the legend",
  expand: "Legend",
};

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// ---- questions ----

/** Kinds of poor pictures, as the server names them. */
export const PICTURE_SUBJECTS = ["blurred", "dark", "blown out", "empty", "framed", "screenshot", "odd size", "odd shape"] as const satisfies Subject[];

/** What is asked of a picture, and what those are called that are of the kind. */
const ASKED: Record<(typeof PICTURE_SUBJECTS)[number], [string, string, string]> = {
  blurred: ["Blurred", "Is this picture blurred?", "blurred"],
  dark: ["Dark", "Is this picture too dark?", "too dark"],
  "blown out": ["Blown out", "Is this picture too light?", "too light"],
  empty: ["Empty", "Is this picture empty?", "empty"],
  framed: ["Framed", "Does this picture have a frame?", "framed"],
  screenshot: ["Screenshots", "Is this a screenshot, a chart or another picture that a program drew?", "drawn by a program"],
  "odd size": ["Odd size", "Is the size of this picture odd?", "of an odd size"],
  "odd shape": ["Odd shape", "Is the shape of this picture odd?", "of an odd shape"],
};

export const subjectName = (about: (typeof PICTURE_SUBJECTS)[number]): string => ASKED[about][0];

interface QuestionTexts {
  question: string;
  yes: string;
  no: string;
  keys: [string, string];
  taste: string;
  none: string;
  answers: (yes: number, no: number, unsure: number) => string;
  threshold: (threshold: number, suggested: number) => string;
  quality: (count: number, precision: Shares, recall: Shares) => string;
}

/** What is said while questions about a subject are answered. */
export function questionTexts(about: Subject): QuestionTexts {
  const unsureToo = (unsure: number): string => (unsure > 0 ? `, ${unsure} unsure` : "");
  if (about === "duplicates") {
    return {
      question: "Do these two show the same picture?",
      yes: "Same",
      no: "Different",
      keys: ["s", "d"],
      taste: "What counts as the same is up to you. Keys: S, D and ?",
      none: "No pair is left that could show the same picture.",
      answers: (yes, no, unsure) => `${yes} the same, ${no} different${unsureToo(unsure)}`,
      threshold: (threshold, suggested) => `Threshold ${threshold.toFixed(2)}, where same and different are equally likely. The collection suggests ${suggested.toFixed(2)}.`,
      quality: (count, precision, recall) =>
        `${counted(count)} ${count === 1 ? "pair reaches" : "pairs reach"} it: ${between(precision)} of them are the same picture. They are ${between(recall)} of all such pairs.`,
    };
  }
  const [, question, kind] = ASKED[about];
  return {
    question,
    yes: "Yes",
    no: "No",
    keys: ["y", "n"],
    taste: "Where you draw the line is up to you. Keys: Y, N and ?",
    none: "No picture is left to ask about.",
    answers: (yes, no, unsure) => `${yes} yes, ${no} no${unsureToo(unsure)}`,
    threshold: (threshold, suggested) => `Threshold ${threshold.toFixed(2)}, where yes and no are equally likely. Usual: ${suggested.toFixed(2)}.`,
    quality: (count, precision, recall) =>
      `${counted(count)} ${count === 1 ? "picture reaches" : "pictures reach"} it: ${between(precision)} of them are ${kind}. They are ${between(recall)} of all such pictures.`,
  };
}
