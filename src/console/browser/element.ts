/** What may stand in an element. Text becomes a text node and is never parsed. */
export type Child = Node | string | number | undefined

type Attributes = Readonly<Record<string, string | number | undefined>>

const svgSpace = 'http://www.w3.org/2000/svg'

/** An element with its attributes and children; a child that is undefined is left out. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes,
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  return filled(document.createElement(name), attributes, children)
}

export function svgElement<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Attributes,
  ...children: readonly Child[]
): SVGElementTagNameMap[Name] {
  return filled(document.createElementNS(svgSpace, name), attributes, children)
}

function filled<Made extends Element>(made: Made, attributes: Attributes, children: readonly Child[]): Made {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, String(value))
  }
  for (const child of children) if (child !== undefined) made.append(typeof child === 'number' ? String(child) : child)
  return made
}

/** A link to a page of the console. Its parts are names that somebody chose, and are encoded. */
export function pageLink(text: string, page: string, ...parts: readonly string[]): HTMLAnchorElement {
  return element('a', { href: `#/${[page, ...parts.map(encodeURIComponent)].join('/')}` }, text)
}
