/** Sheets of thumbnails, each fetched and decoded once for all panels. */

const MOST_SHEETS = 24; // decoded ones that are kept, 4 to 16 MB each
const sheets = new Map<string, Promise<HTMLImageElement>>();

/** A decoded sheet; the least recently used go first. */
export function sheetPicture(address: string): Promise<HTMLImageElement> {
  let sheet = sheets.get(address);
  if (sheet) sheets.delete(address);
  else {
    sheet = decoded(address);
    sheet.catch(() => sheets.delete(address));
  }
  sheets.set(address, sheet);
  for (const oldest of sheets.keys()) {
    if (sheets.size <= MOST_SHEETS) break;
    sheets.delete(oldest);
  }
  return sheet;
}

async function decoded(address: string): Promise<HTMLImageElement> {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  return picture;
}
