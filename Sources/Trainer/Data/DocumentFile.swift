internal import Formats

/// A file of documents, of which only the places are held in memory.
///
/// `.jsonl`: one object with a `text` a line; blank lines are passed over. `.txt`: the whole file is one
/// document. Every line is checked when the file is opened, so that a run does not meet a bad one hours later.
struct DocumentFile: Sendable {
    /// The path as it was given.
    let path: String
    private let file: SourceFile
    private let places: [Place]
    private let isLines: Bool

    private struct Place: Sendable {
        var offset: Int
        var count: Int32
    }

    /// Opens the file and checks every document.
    init(path: String) throws(DataError) {
        self.path = path
        do { file = try SourceFile(path: path) } catch { throw .file(error) }
        isLines = path.hasSuffix(".jsonl")
        guard isLines || path.hasSuffix(".txt") else { throw .unknownKind(path: path) }
        if isLines {
            places = try Self.lines(of: file, path: path)
        } else {
            guard file.size < Int(Int32.max) else {
                throw .badLine(path: path, line: 1, reason: "one document of \(file.size) bytes is too long")
            }
            places = [Place(offset: 0, count: Int32(file.size))]
            let text = try Self.text(of: Self.bytes(file, at: places[0]), path: path)
            guard !text.isEmpty else { throw .empty(path: path) }
        }
    }

    /// How many documents there are.
    var count: Int { places.count }

    /// The end of a run of documents from `start` on that together take about so many bytes of the file.
    func end(of bytes: Int, from start: Int) -> Int {
        var end = start
        var sum = 0
        while end < count, end == start || sum < bytes {
            sum += Int(places[end].count)
            end += 1
        }
        return end
    }

    /// The text of one document.
    func text(_ index: Int) throws(DataError) -> String {
        let bytes = try Self.bytes(file, at: places[index])
        return isLines
            ? try Self.text(ofLine: bytes, path: path, line: index + 1) : try Self.text(of: bytes, path: path)
    }

    /// The places of all lines that are not blank and whose text is not empty.
    private static func lines(of file: SourceFile, path: String) throws(DataError) -> [Place] {
        var places: [Place] = []
        var offset = 0
        var number = 0
        var rest: [UInt8] = []  // the start of a line that the next chunk ends
        var position = 0
        while position < file.size || !rest.isEmpty {
            let chunk = try bytes(file, from: position, count: min(4 << 20, file.size - position))
            position += chunk.count
            var buffer = rest
            buffer += chunk
            rest = []
            var start = 0
            while start < buffer.count {
                guard
                    let end = buffer[start...].firstIndex(of: UInt8(ascii: "\n"))
                        ?? (position == file.size ? buffer.count : nil)
                else { break }
                number += 1
                let line = buffer[start..<end]
                if try hasText(line, path: path, line: number) {
                    places.append(Place(offset: offset, count: Int32(line.count)))
                }
                offset += line.count + 1
                start = end + 1
            }
            if start < buffer.count { rest = Array(buffer[start...]) }
            guard rest.count < Int(Int32.max) else {
                throw .badLine(path: path, line: number + 1, reason: "the line is longer than 2 GiB")
            }
        }
        guard !places.isEmpty else { throw .empty(path: path) }
        return places
    }

    /// Whether a line holds text; throws when it is neither blank nor a document.
    private static func hasText(_ line: ArraySlice<UInt8>, path: String, line number: Int) throws(DataError)
        -> Bool
    {
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { return false }
        return try !text(ofLine: Array(line), path: path, line: number).isEmpty
    }

    private static func text(ofLine bytes: [UInt8], path: String, line: Int) throws(DataError) -> String {
        let value: JSON
        do {
            value = try JSON(parsing: bytes, file: path)
        } catch {
            throw .badLine(path: path, line: line, reason: Self.reason(error))
        }
        guard let text = value["text"]?.string else {
            let found = value.object.map { "it has the keys \($0.keys.joined(separator: ", "))" }
            throw .badLine(path: path, line: line, reason: found ?? "it is \(value.kind)")
        }
        return text
    }

    /// What is wrong with a line, and at which of its bytes.
    private static func reason(_ error: JSONError) -> String {
        guard case .malformed(_, let position, let found, let expected) = error else {
            return "it is not JSON"
        }
        return "it is not JSON: at its byte \(position.offset) \(found) where \(expected) should be"
    }

    private static func text(of bytes: [UInt8], path: String) throws(DataError) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        throw .notUTF8(path: path, offset: firstInvalid(bytes))
    }

    private static func bytes(_ file: SourceFile, at place: Place) throws(DataError) -> [UInt8] {
        try bytes(file, from: place.offset, count: Int(place.count))
    }

    private static func bytes(_ file: SourceFile, from offset: Int, count: Int) throws(DataError) -> [UInt8] {
        do { return try file.bytes(at: offset, count: count) } catch { throw .file(error) }
    }
}
