/// Files whose lines have a few fields by name: objects of JSON with strings, or columns between tabs.
///
/// A column is what stands between two tabs, whatever it is: nothing is quoted. Spaces around a field are no part of it, and no
/// field is empty. Blank lines are passed over, and so is a first line of columns that has the fields' names.
package enum NamedFields {
    /// Reads a file from the start.
    ///
    /// - Parameters:
    ///   - path: a `.jsonl`, `.ndjson`, `.json` or `.tsv`, which may be packed by gzip or Zstandard.
    ///   - names: the fields, in the order of columns.
    ///   - visit: is given each line's number, from 1, and its fields, or why they can't be used.
    /// - Throws: ``UserFacingError`` when the file can't be read, and what `visit` throws.
    package static func forEach(
        in path: String, _ names: [String],
        _ visit: (_ line: Int, _ fields: Result<[String], UserFacingError>) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        guard !TextFile.isPipe(path) else { throw .pipeInPlaceOfFile(path: path) }
        let columns = TextFile.suffix(ofName: path) == "tsv"
        guard columns || TextFile.kind(ofName: path) == .lines else {
            throw .noFields(path: path, names: names)
        }
        let file = try TextFile(path: path, as: columns ? .lines : nil)
        guard case .lines = file.kind else { throw .noFields(path: path, names: names) }
        try Documents.forEachBatch(of: file, TextOptions()) { batch throws(UserFacingError) in
            for (index, part) in batch.parts.enumerated() {
                let number = batch.line(of: index)
                var line = batch.bytes[part]
                if number == 1, line.starts(with: byteOrderMark) { line.removeFirst(byteOrderMark.count) }
                while let last = line.last, last == 0x0A || last == 0x0D { line.removeLast() }
                guard line.contains(where: { ![0x20, 0x09, 0x0D].contains($0) }) else { continue }
                let bytes = Array(line)
                let invalid = firstInvalid(bytes)
                guard invalid == bytes.count else {
                    try visit(number, .failure(.notUTF8(path: path, line: number, byte: invalid)))
                    continue
                }
                let found = columns ? self.columns(bytes) : members(bytes, names)
                if columns, number == 1, found == names.map(Optional.some) { continue }
                try visit(number, result(found, names, path, number, columns: columns))
            }
        }
    }

    private static func columns(_ line: [UInt8]) -> [String?] {
        line.split(separator: 0x09, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self).trimmed
        }
    }

    /// The strings of an object by name; nil for those that are none.
    private static func members(_ line: [UInt8], _ names: [String]) -> [String?] {
        var parser = JSONParser(duplicates: .refused)
        guard let json = try? parser.parseText(line.span), json.object != nil else { return [] }
        return names.map { json[$0]?.string?.trimmed }
    }

    private static func result(
        _ found: [String?], _ names: [String], _ path: String, _ number: Int, columns: Bool
    ) -> Result<[String], UserFacingError> {
        guard found.count == names.count else {
            let what =
                columns
                ? "\(found.count) \(found.count == 1 ? "column" : "columns")"
                : "something that is no object of JSON"
            return .failure(.badFields(path: path, line: number, found: what, names: names, columns: columns))
        }
        var fields: [String] = []
        for (name, field) in zip(names, found) {
            guard let field, !field.isEmpty else {
                let what = field == nil ? "no string \"\(name)\"" : "an empty \"\(name)\""
                return .failure(
                    .badFields(path: path, line: number, found: what, names: names, columns: columns))
            }
            fields.append(field)
        }
        return .success(fields)
    }
}

extension String {
    /// Without white space at both ends.
    fileprivate var trimmed: String {
        let scalars = unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return "" }
        return String(scalars[first...last])
    }
}

extension UserFacingError {
    /// A file is of a kind that has no fields by name.
    fileprivate static func noFields(path: String, names: [String]) -> Self {
        Self(
            .unsupported,
            """
            \(path): a file of \(names.joined(separator: ", ")) is called .tsv (columns between tabs) or .jsonl, .ndjson or \
            .json (an object a line), each also with .gz or .zst
            """)
    }

    /// A line does not have the fields.
    fileprivate static func badFields(
        path: String, line: Int, found: String, names: [String], columns: Bool
    ) -> Self {
        let expected =
            columns
            ? "the columns \(names.joined(separator: ", ")) between tabs"
            : "an object with the strings \(names.map { "\"\($0)\"" }.joined(separator: ", "))"
        return Self(
            .malformed, "\(path), line \(line): it has \(found); expected \(expected), none of them empty")
    }
}
