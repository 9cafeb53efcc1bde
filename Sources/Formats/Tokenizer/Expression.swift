private import COniguruma

/// A compiled Oniguruma regular expression, the kind that Hugging Face tokenizers write.
///
/// A compiled expression is never written to: `onig_match` and `onig_search` keep all their state in the
/// call (Oniguruma 6, `doc/API`), so any number of threads may use one.
@safe package final class Expression: Sendable {
    /// The pattern as it was written.
    let pattern: String
    /// The file that asked for the pattern, for error messages.
    private let file: String
    nonisolated(unsafe) private let compiled: OnigRegex

    /// Makes the library ready, once for the process.
    private static let initialization: Int32 = COnigurumaInitialize()

    /// Compiles a pattern.
    ///
    /// - Throws: ``UserFacingError``.
    package init(_ pattern: String, file: String) throws(UserFacingError) {
        guard Self.initialization == ONIG_NORMAL else {
            throw .unusablePattern(file: file, pattern: pattern, reason: "Oniguruma could not be initialised")
        }
        // `\K` moves a match's start, which the way we search (see `match`) would not see.
        guard !pattern.utf8.elementsEqual("\\K".utf8), !pattern.contains("\\K") else {
            throw .unusablePattern(file: file, pattern: pattern, reason: "\\K is not supported")
        }
        var regex: OnigRegex?
        var error = unsafe OnigErrorInfo()
        let bytes = Array(pattern.utf8)
        let code = unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe COnigurumaCompile(&regex, buffer.baseAddress, buffer.count, &error)
        }
        guard code == ONIG_NORMAL, let regex = unsafe regex else {
            var words = [UInt8](repeating: 0, count: Int(ONIG_MAX_ERROR_MESSAGE_LEN))
            let count = unsafe COnigurumaDescribe(&words, code, &error)
            let reason = String(decoding: words.prefix(Int(count)), as: UTF8.self)
            throw .unusablePattern(file: file, pattern: pattern, reason: reason)
        }
        self.pattern = pattern
        self.file = file
        unsafe compiled = regex
    }

    deinit { unsafe onig_free(compiled) }

    /// The first match that begins at `start` or later in `text`, which is UTF-8.
    ///
    /// What stands before `start` is seen by look-behind.
    func match(in text: Span<UInt8>, from start: Int) throws(UserFacingError) -> Range<Int>? {
        let (position, length) = unsafe text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return (-1, -1) }
            let end = unsafe base + buffer.count
            // Most patterns match everywhere, so asking at `start` comes first; it also needs no region.
            let here = unsafe onig_match(compiled, base, end, base + start, nil, ONIG_OPTION_NONE)
            guard here == ONIG_MISMATCH, start < buffer.count else { return (start, Int(here)) }
            let found = unsafe Int(
                onig_search(compiled, base, end, base + start, end, nil, ONIG_OPTION_NONE))
            guard found >= 0 else { return (start, found) }
            return (found, unsafe Int(onig_match(compiled, base, end, base + found, nil, ONIG_OPTION_NONE)))
        }
        if length >= 0 { return position..<(position + length) }
        guard length == Int(ONIG_MISMATCH) else { throw failure(Int32(length)) }
        return nil
    }

    /// Whether anything in `text` matches; false as well where the search gives up.
    package func matches(_ text: String) -> Bool {
        (try? match(in: Array(text.utf8).span, from: 0)) != nil
    }

    private func failure(_ code: Int32) -> UserFacingError {
        var words = [UInt8](repeating: 0, count: Int(ONIG_MAX_ERROR_MESSAGE_LEN))
        let count = unsafe COnigurumaDescribe(&words, code, nil)
        let reason = String(decoding: words.prefix(Int(count)), as: UTF8.self)
        return .unusablePattern(file: file, pattern: pattern, reason: reason)
    }

    /// The stretches of characters that have a property of Unicode, in order; none when there is no such property.
    static func characters(of property: String) -> [(first: UInt32, last: UInt32)] {
        let name = Array(property.utf8)
        guard Self.initialization == ONIG_NORMAL else { return [] }
        return unsafe name.withUnsafeBufferPointer { name in
            var table: UnsafePointer<OnigCodePoint>?
            guard unsafe COnigurumaCharacters(name.baseAddress, name.count, &table) == ONIG_NORMAL,
                let table = unsafe table
            else { return [] }
            // The number of stretches, then the first and the last character of each.
            return unsafe (0..<Int(table[0])).map { unsafe (table[1 + 2 * $0], table[2 + 2 * $0]) }
        }
    }
}
