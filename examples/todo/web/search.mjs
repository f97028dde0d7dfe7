// Asks the full-text index of a region's daemon, which follows the table todoListTask.
const hitsMax = 100

export const searchIndex = 'todoTasks'

/** Tasks of a list that have all of the words, or begin like them, best first. */
export async function searchTasks({ url }, list, words) {
  if (words.trim() === '') return []
  const address = new URL(`/v1/search/${searchIndex}`, url)
  address.search = new URLSearchParams({ q: words, limit: String(hitsMax), prefix: 'true', match: 'all' })
  const response = await fetch(address, { headers: { 'x-millrace': '1' } })
  if (!response.ok) throw new Error(`the search answered ${response.status} ${await response.text()}`)
  const { hits } = await response.json()
  return hits
    .filter(({ key }) => Number(key.ListId.N) === list)
    .map(({ key, fields }) => ({ TaskId: key.TaskId.S, Description: fields.Description }))
}
