/** Text in HTML and SVG. */

/** Whatever it is, it is shown as text: in elements, and in attributes with double quotes. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
