// Keeps a search index of todoListTask, in the style of most guides: one request a record, and nobody waits for it.
// docs/guides/search.md says what is wrong with it, and what to use instead.
const index = `${process.env.SEARCH_URL || 'http://127.0.0.1:9200'}/todo-tasks/_doc`

exports.handler = (event, _context, callback) => {
  event.Records.forEach((record) => {
    const { ListId, TaskId } = record.dynamodb.Keys
    const id = encodeURIComponent(`${ListId.N}-${TaskId.S}`)
    const request =
      record.eventName === 'REMOVE'
        ? { method: 'DELETE' }
        : {
            method: 'PUT',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ description: record.dynamodb.NewImage.Description.S }),
          }
    fetch(`${index}/${id}`, request).catch((error) => console.error('Unable to index:', error.message))
  })
  callback(null, `Successfully processed ${event.Records.length} records.`)
}
