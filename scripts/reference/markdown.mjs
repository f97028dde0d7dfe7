/** What stands at the top of each page, below its title. */
export const madeBy = '<!-- Made by scripts/reference.mjs; change the code that it is made from. -->'

const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ')

export function table(head, rows) {
  const line = (cells) => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

export function page(title, ...parts) {
  return `${[`# ${title}`, madeBy, ...parts.filter((part) => part !== '')].join('\n\n')}\n`
}

export const code = (text) => `\`${text}\``
