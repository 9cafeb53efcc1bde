internal import Formats

/// The pass that finds lines and paragraphs which stand in several documents.
struct RepeatedUnitsPass {
    let run: SelectionRun

    /// Lines and paragraphs that are to be taken away; nil where none are asked for.
    func carryOut() throws(UserFacingError) -> RepeatedUnits? {
        let (settings, places, parts) = (run.settings, run.places, run.parts)
        guard settings.boilerplate != nil || settings.dropsParagraphs else { return nil }
        let (linePath, paragraphPath) = (places.file("lines"), places.file("paragraphs"))
        if !FileSystem.exists(linePath) || !FileSystem.exists(paragraphPath) {
            try run.forEachPart(.units) { part throws(UserFacingError) in
                guard !FileSystem.exists(places.units(part)) else { return }
                try collectUnits(of: part, to: places.units(part))
            }
            let size = (0..<parts.count).reduce(0) { $0 + FileSystem.byteCount(of: places.units($1)) }
            for (path, isParagraph, least) in [
                (linePath, false, settings.boilerplate ?? .max), (paragraphPath, true, 2),
            ] {
                let buckets = try KeyBuckets(path: path + ".keys", expecting: size / 12)
                for part in 0..<parts.count {
                    try forEachUnit(in: places.units(part)) { hash, index throws(UserFacingError) in
                        guard hash & 1 == (isParagraph ? 1 : 0) else { return }
                        try buckets.append(hash & ~1, SelectionRun.key(part, Int(index)))
                    }
                    try run.work.check()
                }
                try HashTable.write(to: path, try buckets.finish(), least: least, threads: run.threads)
            }
            for part in 0..<parts.count { try FileSystem.remove(places.units(part)) }
        }
        return RepeatedUnits(
            lines: settings.boilerplate == nil ? nil : try HashTable(path: linePath),
            paragraphs: settings.dropsParagraphs ? try HashTable(path: paragraphPath) : nil)
    }

    /// Writes the hashes of a part's lines and paragraphs, each once a document, with the document's number.
    private func collectUnits(of part: Int, to path: String) throws(UserFacingError) {
        let settings = run.settings
        let file = try AtomicFile(path: path)
        let cleaner = TextCleaner(settings.cleaning)
        var (bytes, written): ([UInt8], Int) = ([], 0)
        var counts = TextCleaner.Counts()
        var findings = TextFindings()
        _ = try run.forEachDocument(of: part, noting: &findings) { document throws(UserFacingError) in
            // A document of another time is dropped before anything is looked at.
            if let dates = settings.dates, dates.verdict(dates.date(of: document)) != nil { return }
            let text = cleaner.normalized(document.text, counting: &counts)
            var hashes: Set<UInt64> = []
            if settings.boilerplate != nil {
                for line in RepeatedUnits.lines(of: text) where line.hash != 0 {
                    hashes.insert(line.hash & ~1)
                }
            }
            if settings.dropsParagraphs {
                for paragraph in RepeatedUnits.paragraphs(of: text) where paragraph.hash != 0 {
                    hashes.insert(paragraph.hash | 1)
                }
            }
            for hash in hashes {
                bytes.append(number: hash)
                bytes.append(number: UInt32(document.index))
            }
            if bytes.count > 1 << 20 {
                try file.write(bytes, at: written)
                written += bytes.count
                bytes.removeAll(keepingCapacity: true)
            }
        }
        try file.write(bytes, at: written)
        try file.publish()
    }

    private func forEachUnit(
        in path: String, _ visit: (UInt64, UInt32) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        let input = try InputFile(path: path)
        for start in stride(from: 0, to: input.size, by: 12 << 16) {
            let bytes = try input.bytes(at: start, count: min(12 << 16, input.size - start))
            var place = 0
            while place < bytes.count {
                let hash: UInt64 = bytes.number(at: &place)
                try visit(hash, bytes.number(at: &place))
            }
        }
    }
}
