/// Files of documents, read in order and a part at a time, so that text of any size takes the same memory.
///
/// `.jsonl`: each line is an object whose `text` is a document; blank lines are passed over. `.txt`: the whole file is
/// one document.
///
/// ``DocumentIndex`` reads one file's documents in any order.
public struct Documents: Sendable {
    /// The files in the order in which they are read.
    public let paths: [String]

    /// How many bytes of a file are handed out at a time; a longer line is handed out alone.
    private static let batchSize = 8 << 20

    /// The documents of these files.
    public init(paths: [String]) { self.paths = paths }

    /// Reads all files from the start.
    ///
    /// - Parameters:
    ///   - isCancelled: asked after each batch; true stops.
    ///   - progress: told how many bytes are read, of how many.
    ///   - visit: is given some texts at a time.
    /// - Throws: ``UserFacingError`` that names the file and the first line that can't be used, or
    ///   ``UserFacingError`` when it was stopped.
    func forEachBatch(
        isCancelled: () -> Bool = { false }, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in },
        _ visit: (DocumentBatch) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        var files: [(InputFile, DocumentBatch.Kind)] = []
        for path in paths { files.append(try Self.open(path)) }
        let total = files.reduce(0) { $0 + $1.0.size }
        var before = 0
        for (file, kind) in files {
            try Self.forEachBatch(of: file, kind) { batch throws(UserFacingError) in
                try visit(batch)
                progress(before + batch.offset + batch.bytes.count, total)
                if isCancelled() { throw .interrupted(" before all text was read; begin again") }
            }
            before += file.size
        }
    }

    /// Opens a file, whose name says how documents lie in it.
    static func open(_ path: String) throws(UserFacingError) -> (InputFile, DocumentBatch.Kind) {
        let kind: DocumentBatch.Kind
        switch Path.suffix(path) {
        case "jsonl": kind = .lines
        case "txt": kind = .whole
        default: throw .unknownKind(path: path)
        }
        return (try InputFile(path: path), kind)
    }

    /// Reads one file from the start.
    static func forEachBatch(
        of file: InputFile, _ kind: DocumentBatch.Kind,
        _ visit: (DocumentBatch) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        var (offset, line, lineStart) = (0, 1, 0)
        while offset < file.size {
            let bytes = try bytes(of: file, kind, from: offset)
            try visit(
                DocumentBatch(
                    bytes, kind, path: file.path, offset: offset, firstLine: line, lineStart: lineStart))
            line += bytes.count { $0 == UInt8(ascii: "\n") }
            if let feed = bytes.lastIndex(of: UInt8(ascii: "\n")) { lineStart = offset + feed + 1 }
            offset += bytes.count
        }
    }

    /// The bytes from `offset` on that are handed out together: whole lines, or what ends at a good cut.
    private static func bytes(
        of file: InputFile, _ kind: DocumentBatch.Kind, from offset: Int
    ) throws(UserFacingError) -> [UInt8] {
        var size = batchSize
        while true {
            var bytes: [UInt8]
            bytes = try file.bytes(at: offset, count: min(size, file.size - offset))
            guard offset + bytes.count < file.size else { return bytes }
            switch kind {
            case .whole:
                bytes.removeSubrange(DocumentBatch.cut(bytes[...])...)
                return bytes
            case .lines:
                if let feed = bytes.lastIndex(of: UInt8(ascii: "\n")) {
                    bytes.removeSubrange((feed + 1)...)
                    return bytes
                }
                size *= 2
            }
        }
    }
}

/// Some consecutive texts of a file: documents, or parts of one that is long.
struct DocumentBatch: Sendable {
    /// How documents lie in a file.
    enum Kind: Sendable {
        /// A line each, as JSON.
        case lines
        /// The file is one.
        case whole
    }

    /// The bytes of the file.
    let bytes: [UInt8]
    /// Where each text lies in `bytes`: a line with its line feed, or a part of the document.
    let parts: [Range<Int>]
    /// Where the bytes lie in the file.
    let offset: Int
    /// The file.
    let path: String
    private let kind: Kind
    private let firstLine: Int
    /// Where the line that `bytes` begin in begins in the file.
    private let lineStart: Int

    /// The most bytes of a part, so that several threads have something to do with one document.
    private static let partSize = 1 << 20

    init(_ bytes: [UInt8], _ kind: Kind, path: String, offset: Int, firstLine: Int, lineStart: Int) {
        var parts: [Range<Int>] = []
        var start = 0
        while start < bytes.count {
            let end: Int
            switch kind {
            case .lines: end = (bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count - 1) + 1
            case .whole:
                let rest = bytes[start...]
                end = rest.count > Self.partSize ? Self.cut(rest.prefix(Self.partSize)) : bytes.count
            }
            parts.append(start..<end)
            start = end
        }
        (self.bytes, self.kind, self.parts) = (bytes, kind, parts)
        (self.path, self.offset, self.firstLine, self.lineStart) = (path, offset, firstLine, lineStart)
    }

    /// Where a long document is divided: at best after a single line feed between visible characters, where every known
    /// tokenizer that divides text at all begins a word; else after another line feed before a visible character; else
    /// before the last run of spaces; else between two characters.
    static func cut(_ bytes: ArraySlice<UInt8>) -> Int {
        func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }
        var (line, space): (Int?, Int?) = (nil, nil)
        for index in bytes.indices.dropFirst().reversed() {
            let isAfterSpace = isSpace(bytes[index - 1])
            if isSpace(bytes[index]) {
                if !isAfterSpace { space = space ?? index }
            } else if bytes[index - 1] == UInt8(ascii: "\n") {
                if index - 2 >= bytes.startIndex, !isSpace(bytes[index - 2]) { return index }
                line = line ?? index
            }
        }
        if let place = line ?? space { return place }
        let last = bytes.suffix(4).lastIndex { $0 & 0xC0 != 0x80 }
        return last.flatMap { $0 > bytes.startIndex ? $0 : nil } ?? bytes.endIndex
    }

    /// A text's UTF-8; nil when the line is blank.
    ///
    /// - Throws: ``UserFacingError`` when the text is not what the kind of file asks for.
    func text(_ index: Int) throws(UserFacingError) -> [UInt8]? {
        let text = bytes.span.extracting(parts[index])
        switch kind {
        case .lines: return try Self.text(ofLine: text, path: path, line: line(of: index))
        case .whole:
            let text = Array(copying: text)
            if String(validating: text, as: UTF8.self) != nil { return text }
            let place = parts[index].lowerBound + firstInvalid(text)
            let feed = bytes[..<place].lastIndex(of: UInt8(ascii: "\n"))
            throw .notUTF8(
                path: path, line: line(at: place),
                byte: offset + place - (feed.map { offset + $0 + 1 } ?? lineStart))
        }
    }

    /// The line on which a text begins, from 1.
    func line(of index: Int) -> Int {
        switch kind {
        case .lines: firstLine + index
        case .whole: line(at: parts[index].lowerBound)
        }
    }

    private func line(at place: Int) -> Int {
        firstLine + bytes[..<place].count { $0 == UInt8(ascii: "\n") }
    }

    /// The `text` of a line; nil when the line is blank.
    static func text(ofLine line: Span<UInt8>, path: String, line number: Int) throws(UserFacingError)
        -> [UInt8]?
    {
        var isBlank = true
        for index in line.indices where ![0x20, 0x09, 0x0D, 0x0A].contains(line[index]) {
            isBlank = false
            break
        }
        if isBlank { return nil }
        let json: JSON
        do {
            var parser = JSONParser(duplicates: .lastWins)
            json = try parser.parseText(line)
        } catch {
            let invalid = firstInvalid(Array(copying: line))
            if invalid < line.count { throw .notUTF8(path: path, line: number, byte: invalid) }
            throw .notJSON(path: path, line: number, reason: error.description(in: line))
        }
        guard let text = json["text"] else {
            let found = json.object.map { "an object with the keys \($0.keys.joined(separator: ", "))" }
            throw .noText(path: path, line: number, found: found ?? json.kind)
        }
        guard let string = text.string else {
            throw .noText(path: path, line: number, found: "an object whose \"text\" is \(text.kind)")
        }
        return Array(string.utf8)
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
