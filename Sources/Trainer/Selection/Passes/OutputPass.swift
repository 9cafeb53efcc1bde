internal import Formats

/// The pass that reads the texts once more, and writes those that are kept where they belong.
struct OutputPass {
    let run: SelectionRun
    let cleaner: TextCleaner

    /// Writes the file `output` of the work folder.
    func carryOut(_ plan: SelectionPlan) throws(UserFacingError) {
        let (ledger, starts, offsets) = (plan.ledger, plan.starts, plan.offsets)
        let shared = SharedFile(file: try WritableFile(path: run.places.file("output")))
        try shared.truncate(to: offsets.last ?? 0)
        try run.forEachPart(.output) { part throws(UserFacingError) in
            let entries = try ledger.entries(starts[part]..<starts[part + 1])
            var (count, offset, bytes): (Int, Int, [UInt8]) = (0, offsets[part], [])
            var counts = TextCleaner.Counts()
            var findings = TextFindings()
            _ = try run.forEachDocument(of: part, noting: &findings) { document throws(UserFacingError) in
                guard document.index < entries.count else { throw .changedFile(path: document.batch.path) }
                count += 1
                guard entries[document.index].code == 0 else { return }
                let cleaned = cleaner.clean(
                    document.text, key: SelectionRun.key(part, document.index), counting: &counts)
                bytes += document.batch.record(document.place, text: cleaned)
                guard bytes.count > 1 << 20 else { return }
                try shared.write(bytes, at: offset)
                offset += bytes.count
                bytes.removeAll(keepingCapacity: true)
            }
            try shared.write(bytes, at: offset)
            guard offset + bytes.count == offsets[part + 1], count == entries.count else {
                throw .changedFile(path: run.parts.files[run.parts.fileNumber(of: part)].path)
            }
        }
        try shared.synchronize()
    }
}

/// A file that several threads write parts of.
private final class SharedFile: Sendable {
    private let file: WritableFile

    init(file: consuming WritableFile) { self.file = file }

    func write(_ bytes: [UInt8], at offset: Int) throws(UserFacingError) {
        try file.write(bytes, at: offset)
    }

    func truncate(to size: Int) throws(UserFacingError) { try file.truncate(to: size) }

    func synchronize() throws(UserFacingError) { try file.synchronize() }
}
