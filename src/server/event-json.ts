/** Why an event is no JSON, in the parser's words; undefined when it is. */
export function faultOfJson(event: Buffer): string | undefined {
  try {
    JSON.parse(event.toString())
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
