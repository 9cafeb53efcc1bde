/// Files of text, read a part at a time, so that a corpus of any size takes the same memory.
///
/// `.jsonl`: an object with a `text` a line; blank lines are passed over. `.txt`: each line is a text, with the
/// line feed that ends it.
public struct TextCorpus: Sendable {
    /// The files in the order in which they are read.
    public let paths: [String]

    /// How many bytes of lines are handed out at a time; a longer line is handed out alone.
    private static let batchSize = 8 << 20

    /// A corpus of these files.
    public init(paths: [String]) { self.paths = paths }

    /// Reads all files from the start.
    ///
    /// - Parameters:
    ///   - progress: told how many bytes are read, of how many; false stops.
    ///   - visit: is given some lines at a time.
    /// - Returns: false when it was stopped.
    /// - Throws: ``CorpusError`` that names the file and the first line that can't be used.
    func forEachBatch(
        progress: (_ done: Int, _ total: Int) -> Bool = { _, _ in true },
        _ visit: (Batch) throws(CorpusError) -> Void
    ) throws(CorpusError) -> Bool {
        var files: [SourceFile] = []
        for path in paths {
            guard path.hasSuffix(".jsonl") || path.hasSuffix(".txt") else { throw .unknownKind(path: path) }
            do { files.append(try SourceFile(path: path)) } catch { throw .file(error) }
        }
        let total = files.reduce(0) { $0 + $1.size }
        var before = 0
        for file in files {
            var place = 0
            var line = 1
            while place < file.size {
                let batch = try Self.batch(of: file, from: place, firstLine: line)
                try visit(batch)
                place += batch.bytes.count
                line += batch.lines.count
                guard progress(before + place, total) else { return false }
            }
            before += file.size
        }
        return true
    }

    /// The lines from `place` on that fit, at least one.
    private static func batch(
        of file: SourceFile, from place: Int, firstLine: Int
    ) throws(CorpusError) -> Batch {
        var size = batchSize
        while true {
            var bytes: [UInt8]
            do { bytes = try file.bytes(at: place, count: min(size, file.size - place)) } catch {
                throw .file(error)
            }
            if place + bytes.count < file.size {
                guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else {
                    size *= 2
                    continue
                }
                bytes.removeSubrange((end + 1)...)
            }
            return Batch(bytes, path: file.path, firstLine: firstLine)
        }
    }
}

extension TextCorpus {
    /// Some lines of a file.
    struct Batch: Sendable {
        /// The lines, one after another.
        let bytes: [UInt8]
        /// Where each line lies in `bytes`, its line feed included.
        let lines: [Range<Int>]
        private let path: String
        private let firstLine: Int
        private let isJSON: Bool

        init(_ bytes: [UInt8], path: String, firstLine: Int) {
            self.bytes = bytes
            self.path = path
            self.firstLine = firstLine
            isJSON = path.hasSuffix(".jsonl")
            var lines: [Range<Int>] = []
            var start = 0
            while start < bytes.count {
                let feed = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count - 1
                lines.append(start..<feed + 1)
                start = feed + 1
            }
            self.lines = lines
        }

        /// The text of a line; nil when the line is blank.
        ///
        /// - Throws: ``CorpusError`` when the line is not what the kind of file asks for.
        func text(_ index: Int) throws(CorpusError) -> [UInt8]? {
            let line = bytes.span.extracting(lines[index])
            let number = firstLine + index
            guard isJSON else {
                let text = Array(copying: line)
                guard String(validating: text, as: UTF8.self) != nil else {
                    throw .notUTF8(path: path, line: number, byte: firstInvalid(text))
                }
                return text
            }
            if bytes[lines[index]].allSatisfy({ [0x20, 0x09, 0x0D, 0x0A].contains($0) }) { return nil }
            let json: JSON
            do {
                json = try JSON(parsing: line, file: path)
            } catch {
                let invalid = firstInvalid(Array(copying: line))
                if invalid < line.count { throw .notUTF8(path: path, line: number, byte: invalid) }
                throw .notJSON(path: path, line: number, reason: reason(error))
            }
            guard let text = json["text"]?.string else {
                let found = json.object.map { "an object with the keys \($0.keys.joined(separator: ", "))" }
                throw .noText(path: path, line: number, found: found ?? json.kind)
            }
            return Array(text.utf8)
        }

        private func reason(_ error: JSONError) -> String {
            guard case .malformed(_, let position, let found, let expected) = error else {
                return error.description
            }
            return "at its byte \(position.offset) there is \(found) where \(expected) should be"
        }
    }
}

/// Where `bytes` stop being UTF-8; their count when they don't.
package func firstInvalid(_ bytes: [UInt8]) -> Int {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var offset = 0
    while true {
        switch decoder.decode(&iterator) {
        case .scalarValue(let scalar): offset += UTF8.width(scalar)
        case .emptyInput, .error: return offset
        }
    }
}
