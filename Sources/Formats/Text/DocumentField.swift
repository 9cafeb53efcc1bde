/// A key of a document's line besides its text, such as a date or a topic.
package struct DocumentField: Sendable {
    private let key: TextKey

    /// A key; a dot leads into an object inside.
    package init(_ name: String) { key = TextKey(name) }

    /// The value that a document has for it.
    ///
    /// - Parameters:
    ///   - index: which document of the batch.
    ///   - batch: documents; those that are no lines of JSON, and no rows with fields, have no keys.
    /// - Returns: nil where it has none.
    package func value(of index: Int, in batch: DocumentBatch) -> JSON? {
        guard let line = batch.object(index), let place = key.place(ofLine: line.span) else { return nil }
        var parser = JSONParser(duplicates: .lastWins)
        return try? parser.parseText(line.span.extracting(place))
    }
}
