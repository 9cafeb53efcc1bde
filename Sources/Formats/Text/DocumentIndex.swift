/// A file of documents that are read in any order; memory holds only where they lie, 16 bytes a document.
///
/// The documents are those of ``Documents``, except the empty ones. Every one is checked when the file is opened, so that
/// a run does not meet a bad one hours later.
package struct DocumentIndex: Sendable {
    /// The path as it was given.
    package let path: String
    private let file: InputFile
    private let kind: DocumentBatch.Kind
    private let places: [Place]

    private struct Place: Sendable {
        var offset: Int
        var count: Int32
        var line: Int32
    }

    /// Opens a file and checks every document.
    ///
    /// - Throws: ``UserFacingError`` that names the first line that can't be used.
    package init(path: String) throws(UserFacingError) {
        self.path = path
        (file, kind) = try Documents.open(path)
        var places: [Place] = []
        try Documents.forEachBatch(of: file, kind) { batch throws(UserFacingError) in
            for (index, part) in batch.parts.enumerated() {
                guard let text = try batch.text(index), !text.isEmpty else { continue }
                places.append(
                    try Self.place(
                        batch.offset + part.lowerBound, part.count, line: batch.line(of: index), path: path))
            }
        }
        guard !places.isEmpty else { throw .noDocuments(paths: [path]) }
        switch kind {
        case .lines: self.places = places
        case .whole: self.places = [try Self.place(0, file.size, line: 1, path: path)]
        }
    }

    private static func place(
        _ offset: Int, _ count: Int, line: Int, path: String
    ) throws(UserFacingError) -> Place {
        guard let size = Int32(exactly: count) else {
            throw .documentTooLong(path: path, line: line, bytes: count)
        }
        return Place(offset: offset, count: size, line: Int32(clamping: line))
    }

    /// How many documents there are.
    package var count: Int { places.count }

    /// The end of a run of documents from `start` on that together take about so many bytes of the file.
    package func end(of bytes: Int, from start: Int) -> Int {
        var end = start
        var sum = 0
        while end < count, end == start || sum < bytes {
            sum += Int(places[end].count)
            end += 1
        }
        return end
    }

    /// The text of one document.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read any more.
    package func text(_ index: Int) throws(UserFacingError) -> String {
        let place = places[index]
        let bytes = try file.bytes(at: place.offset, count: Int(place.count))
        switch kind {
        case .lines:
            let text = try DocumentBatch.text(ofLine: bytes.span, path: path, line: Int(place.line))
            return String(decoding: text ?? [], as: UTF8.self)
        case .whole:
            if let text = String(validating: bytes, as: UTF8.self) { return text }
            throw .notUTF8(path: path, line: Int(place.line), byte: firstInvalid(bytes))
        }
    }
}
