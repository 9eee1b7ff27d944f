/** Fields that take no letters, digits or Enter: keys stay shortcuts there. */
const SWITCHES = ["button", "checkbox", "color", "file", "image", "radio", "range", "reset", "submit"];

/** Whether a key belongs to a field that somebody types into: then it is no shortcut. */
export function isTyping({ target }: Pick<KeyboardEvent, "target">): boolean {
  const element = target as HTMLElement;
  if (element.tagName === "INPUT") return !SWITCHES.includes((element as HTMLInputElement).type);
  return element.isContentEditable || ["TEXTAREA", "SELECT"].includes(element.tagName);
}
