/**
 * The words that PartiQL keeps for itself, in any case of letters: as a name such a word must stand in double quotes.
 * Source: the reserved words of SQL-92 and of the PartiQL specification.
 */
const keywords = new Set(
  `
  absolute action add all allocate alter and any are as asc assertion at authorization avg bag begin between bit
  bit_length blob bool boolean by cascade cascaded case cast catalog char char_length character character_length check
  clob close coalesce collate collation column commit conflict connect connection constraint constraints continue
  convert corresponding count create cross current current_date current_time current_timestamp current_user cursor date
  date_add date_diff deallocate dec decimal declare default deferrable deferred delete desc describe descriptor
  diagnostics disconnect distinct do domain double drop else end escape except exception exec execute exists external
  extract false fetch first float for foreign found from full get global go goto grant group having identity immediate
  in index indicator initially inner input insensitive insert int integer intersect interval into is isolation join key
  language last left let level like limit list local lower match max min missing modified module names national natural
  nchar new next no not nothing null nullif numeric octet_length of old on only open option or order outer output
  overlaps pad partial pivot position precision prepare preserve primary prior privileges procedure public read real
  references relative remove restrict returning revoke right rollback rows schema scroll section select session
  session_user set sexp size smallint some space sql sqlcode sqlerror sqlstate string struct substring sum symbol
  system_user table temporary then time timestamp to transaction translate translation trim true tuple union unique
  unknown unpivot update upper usage user using value values varchar varying view when whenever where with work write
  zone
  `
    .trim()
    .split(/\s+/),
)

/** The length of the longest keyword. */
const keywordLengthMax = 17

/** The keyword that a word is, in lower case; undefined for a name. */
export function keywordOf(word: string): string | undefined {
  if (word.length > keywordLengthMax) return undefined
  const lower = word.toLowerCase()
  return keywords.has(lower) ? lower : undefined
}

/** Keywords that are called like functions. */
const functionKeywords = new Set(
  'avg bag bit_length char_length character_length coalesce count exists list lower max min nullif octet_length sexp size sum upper'.split(
    ' ',
  ),
)

export const isFunctionKeyword = (keyword: string): boolean => functionKeywords.has(keyword)

/** Other words for a type. */
const typeAliases: Readonly<Record<string, string>> = {
  bool: 'boolean',
  char: 'character',
  dec: 'decimal',
  int: 'integer',
  varchar: 'character varying',
}

const typeNames = new Set([
  ...'missing null boolean smallint integer float real decimal numeric timestamp date time character string symbol'.split(
    ' ',
  ),
  ...'clob blob struct tuple list sexp bag'.split(' '),
  'double precision',
  'character varying',
])

/** The type that a keyword names for IS; undefined when it names none. */
export function typeNameOf(keyword: string): string | undefined {
  const name = Object.hasOwn(typeAliases, keyword) ? (typeAliases[keyword] as string) : keyword
  return typeNames.has(name) ? name : undefined
}

/** Types that are written as plain names. */
export const typeIdentifiers: ReadonlySet<string> = new Set([
  'int2',
  'int4',
  'int8',
  'integer2',
  'integer4',
  'integer8',
])
