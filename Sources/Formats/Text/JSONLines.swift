/// Files of JSON values, one a line, named, packed and piped as texts are.
package enum JSONLines {
    /// Reads a file from the start; blank lines are none.
    ///
    /// - Parameters:
    ///   - path: a `.jsonl`, `.ndjson` or `.json`, which may be packed, a pipe, or `-` for standard input.
    ///   - visit: is given each value, and its line from 1.
    /// - Throws: ``UserFacingError`` that names the first line that is not JSON, and what `visit` throws.
    package static func forEach(
        in path: String, _ visit: (_ line: Int, _ value: JSON) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        let file = try TextFile(path: path)
        guard case .lines = file.kind else { throw .notJSONLines(path: path) }
        try Documents.forEachBatch(of: file, TextOptions()) { batch throws(UserFacingError) in
            for (index, part) in batch.parts.enumerated() {
                var line = batch.bytes[part]
                if batch.offset == 0, index == 0, line.starts(with: byteOrderMark) {
                    line.removeFirst(byteOrderMark.count)
                }
                guard line.contains(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) else { continue }
                try visit(batch.line(of: index), value(Array(line), path: path, line: batch.line(of: index)))
            }
        }
    }

    private static func value(
        _ bytes: [UInt8], path: String, line: Int
    ) throws(UserFacingError) -> JSON {
        let invalid = firstInvalid(bytes)
        guard invalid == bytes.count else { throw .notUTF8(path: path, line: line, byte: invalid) }
        var parser = JSONParser(duplicates: .refused)
        do {
            return try parser.parseText(bytes.span)
        } catch {
            throw .brokenLine(path: path, line: line, reason: error.description(in: bytes.span))
        }
    }
}

extension UserFacingError {
    /// The file is one document or a Parquet file, where lines of JSON are needed.
    package static func notJSONLines(path: String) -> Self {
        Self(
            .unsupported,
            "\(path): lines of JSON are expected (.jsonl, .ndjson or .json), not one text or Parquet")
    }

    /// A line is not JSON.
    package static func brokenLine(path: String, line: Int, reason: String) -> Self {
        Self(.malformed, "\(path), line \(line): it is not JSON: \(reason)")
    }
}
