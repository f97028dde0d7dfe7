/** A row's key as the commit path keeps it in its maps: a string whose characters are its bytes. */
export const rowName = (key: Buffer): string => key.toString('latin1')
