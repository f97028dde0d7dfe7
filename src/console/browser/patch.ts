/**
 * Makes the children of an element like the wanted ones and changes only what differs, so that a page that shows itself
 * again every few seconds keeps the focus, the selection and the place where somebody has scrolled to.
 */
export function patch(parent: Element, wanted: readonly Node[]): void {
  wanted.forEach((want, i) => {
    const have = parent.childNodes[i]
    if (have === undefined) parent.append(want)
    else if (!isAlike(have, want)) have.replaceWith(want)
    else if (have instanceof Element && want instanceof Element) {
      patchAttributes(have, want)
      patch(have, [...want.childNodes])
    } else if (have.nodeValue !== want.nodeValue) have.nodeValue = want.nodeValue
  })
  while (parent.childNodes.length > wanted.length) parent.lastChild?.remove()
}

const isAlike = (have: Node, want: Node): boolean => have.nodeType === want.nodeType && have.nodeName === want.nodeName

function patchAttributes(have: Element, want: Element): void {
  for (const { name } of [...have.attributes]) {
    // Whether it is open is for the reader to say.
    if (!want.hasAttribute(name) && !(have instanceof HTMLDetailsElement && name === 'open')) have.removeAttribute(name)
  }
  for (const { name, value } of want.attributes) {
    if (have.getAttribute(name) === value) continue
    have.setAttribute(name, value)
    // What somebody has typed stays, until the page has other words itself: those of another address.
    if (name === 'value' && have instanceof HTMLInputElement) have.value = value
  }
}
