import type { Random } from '../../simulation/random.js'
import { plainNames } from './arbitraries.js'
import type { Change, Operand, Path, Source, Tree } from './syntax.js'
import type { Value } from './values.js'

/** Words and signs of an expression, one behind the other. */
type Tokens = readonly string[]

const spaces = [' ', '  ', '\t', '\n', ' \r\n ']
const isWordPart = (character: string | undefined): boolean => /[A-Za-z0-9_]/.test(character ?? '')

/** Writes expressions in one of their many spellings, and collects what their placeholders stand for. */
export class Renderer {
  readonly names: Record<string, string> = {}
  readonly values: Record<string, Value> = {}
  readonly #random: Random
  #count = 0

  constructor(random: Random) {
    this.#random = random
  }

  condition(tree: Tree): string {
    return this.#join(this.#tree(tree, 'or'))
  }

  projection(paths: readonly Path[]): string {
    return this.#join(this.#list(paths.map((path) => this.#path(path))))
  }

  update(changes: readonly Change[]): string {
    const kinds = [...new Set(changes.map((change) => change.do))]
    const sections = kinds.map((kind) => [
      this.#word(kind),
      ...this.#list(changes.filter((change) => change.do === kind).map((change) => this.#change(change))),
    ])
    return this.#join(sections.flat())
  }

  /** The members of a request. */
  get placeholders(): { ExpressionAttributeNames?: object; ExpressionAttributeValues?: object } {
    return {
      ...(Object.keys(this.names).length > 0 ? { ExpressionAttributeNames: this.names } : {}),
      ...(Object.keys(this.values).length > 0 ? { ExpressionAttributeValues: this.values } : {}),
    }
  }

  #tree(tree: Tree, within: 'or' | 'and' | 'not'): Tokens {
    const bare = this.#bareTree(tree)
    const needs = (tree.is === 'or' && within !== 'or') || (tree.is === 'and' && within === 'not')
    return needs || this.#random.chance(0.15) ? ['(', ...bare, ')'] : bare
  }

  #bareTree(tree: Tree): Tokens {
    switch (tree.is) {
      case 'and':
      case 'or':
        return [...this.#tree(tree.left, tree.is), this.#word(tree.is), ...this.#tree(tree.right, tree.is)]
      case 'not':
        return [this.#word('NOT'), ...this.#tree(tree.item, 'not')]
      case 'exists':
        return this.#call('attribute_exists', this.#path(tree.path))
      case 'missing':
        return this.#call('attribute_not_exists', this.#path(tree.path))
      case 'type':
        return this.#call('attribute_type', this.#path(tree.path), [this.#value({ S: tree.type })])
      case 'begins':
        return this.#call('begins_with', this.#path(tree.path), this.#operand(tree.part))
      case 'contains':
        return this.#call('contains', this.#path(tree.path), this.#operand(tree.part))
      case 'compare':
        return [...this.#operand(tree.left), tree.operator, ...this.#operand(tree.right)]
      case 'between':
        return [
          ...this.#operand(tree.value),
          this.#word('BETWEEN'),
          ...this.#operand(tree.low),
          this.#word('AND'),
          ...this.#operand(tree.high),
        ]
      case 'in':
        return [
          ...this.#operand(tree.value),
          this.#word('IN'),
          '(',
          ...this.#list(tree.options.map((option) => this.#operand(option))),
          ')',
        ]
    }
  }

  #operand(operand: Operand): Tokens {
    if ('path' in operand) return this.#path(operand.path)
    if ('size' in operand) return this.#call('size', this.#path(operand.size))
    return [this.#value(operand.value)]
  }

  #change(change: Change): Tokens {
    const path = this.#path(change.path)
    if (change.do === 'REMOVE') return path
    if (change.do !== 'SET') return [...path, this.#value(change.value)]
    if ('to' in change) return [...path, '=', ...this.#source(change.to)]
    return [...path, '=', ...this.#source(change.left), change.sign, ...this.#source(change.right)]
  }

  #source(source: Source): Tokens {
    if ('value' in source) return [this.#value(source.value)]
    if ('path' in source) return this.#path(source.path)
    if ('first' in source) return this.#call('list_append', this.#source(source.first), this.#source(source.second))
    return this.#call('if_not_exists', this.#path(source.ifMissing), this.#source(source.otherwise))
  }

  #call(name: string, ...operands: readonly Tokens[]): Tokens {
    return [name, '(', ...this.#list(operands), ')']
  }

  #list(elements: readonly Tokens[]): Tokens {
    return elements.flatMap((element, i) => (i === 0 ? element : [',', ...element]))
  }

  #path(path: Path): Tokens {
    return path.flatMap((step, i) => {
      if (typeof step === 'number') return ['[', String(step), ']']
      return i === 0 ? [this.#name(step)] : ['.', this.#name(step)]
    })
  }

  #name(name: string): string {
    const isPlain = (plainNames as readonly string[]).includes(name)
    if (isPlain && this.#random.chance(0.7)) return name
    const known = Object.keys(this.names).find((reference) => this.names[reference] === name)
    if (known !== undefined && this.#random.chance(0.8)) return known
    const reference = `#${this.#random.pick(['n', '_', '0', 'size'])}${this.#count++}`
    this.names[reference] = name
    return reference
  }

  #value(value: Value): string {
    const text = JSON.stringify(value)
    const known = Object.keys(this.values).find((reference) => JSON.stringify(this.values[reference]) === text)
    if (known !== undefined && this.#random.chance(0.8)) return known
    const reference = `:${this.#random.pick(['v', '_', '0', 'and'])}${this.#count++}`
    this.values[reference] = value
    return reference
  }

  /** A keyword, in any case of its letters. */
  #word(word: string): string {
    if (this.#random.chance(0.6)) return word.toUpperCase()
    return [...word].map((letter) => (this.#random.chance(0.5) ? letter.toUpperCase() : letter.toLowerCase())).join('')
  }

  #join(tokens: Tokens): string {
    let text = this.#space(false)
    for (const [i, token] of tokens.entries()) {
      const before = tokens[i - 1]
      // Words must not grow together; between anything else there may be a space.
      if (before !== undefined) text += this.#space(isWordPart(before.at(-1)) && /^[A-Za-z0-9_#:]/.test(token))
      text += token
    }
    return text + this.#space(false)
  }

  #space(needed: boolean): string {
    if (!needed && this.#random.chance(0.5)) return ''
    return this.#random.chance(0.8) ? ' ' : this.#random.pick(spaces)
  }
}
