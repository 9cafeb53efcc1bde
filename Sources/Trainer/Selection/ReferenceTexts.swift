internal import Formats

/// Texts that documents are compared with, an evaluation's, a task's or samples of a language, cleaned as documents are.
struct ReferenceTexts {
    /// The files, as they were.
    let files: [JSON]
    private let parts: TextParts
    private let cleaner: TextCleaner
    private var findings: TextFindings

    /// Finds the files.
    ///
    /// - Parameters:
    ///   - paths: files, folders or patterns; nothing that can be read only once.
    ///   - key: the key of a text.
    ///   - isComposed: whether texts are composed even where documents are not.
    ///   - settings: how documents are read and cleaned.
    /// - Throws: ``UserFacingError`` naming the file that can't be read.
    init(
        _ paths: [String], key: String, isComposed: Bool = false, _ settings: SelectionSettings
    ) throws(UserFacingError) {
        var options = settings.textOptions
        options.textKey = key
        options.composes = options.composes || isComposed
        parts = try TextParts(paths, options: options, partSize: 8 << 20)
        (files, findings) = (parts.files.map(\.record), parts.findings)
        cleaner = TextCleaner(settings.cleaning)
    }

    /// Reads the texts.
    ///
    /// - Parameter visit: is given each text, and says whether it wants more.
    /// - Throws: ``UserFacingError`` when a file can't be read, and what `visit` throws.
    mutating func forEach(
        _ visit: ([UInt8]) throws(UserFacingError) -> Bool
    ) throws(UserFacingError) {
        var counts = TextCleaner.Counts()
        var wantsMore = true
        for part in 0..<parts.count where wantsMore {
            var found = TextFindings()
            try parts.forEachBatch(of: part) { batch throws(UserFacingError) in
                for place in batch.parts.indices where wantsMore {
                    guard let text = try batch.text(place, noting: &found) else { continue }
                    wantsMore = try visit(cleaner.clean(text, key: 0, counting: &counts))
                }
            }
            if found.skippedLines > 0, findings.firstSkipped == nil {
                found.name(firstSkipped: try parts.firstSkipped(of: part))
            }
            findings.add(found)
        }
    }

    /// What whoever named the files should know of them, a sentence each.
    ///
    /// - Parameter what: what the texts are, in words.
    /// - Returns: the sentences.
    func notes(of what: String) -> [String] { findings.readingWarnings.map { "\(what): \($0)" } }
}
