// Why documents can't be read or used.
extension UserFacingError {
    /// What files of text are called.
    static let textKinds =
        """
        .jsonl, .ndjson or .json (an object with a text a line), .parquet (a text a row), or .txt (one document), each \
        also with .gz or .zst
        """

    /// The file's name ends in something else than the kinds that are read.
    package static func unknownKind(path: String) -> Self {
        let advice =
            switch Path.suffix(path) {
            case "csv", "tsv":
                """
                write its texts as JSON lines first, as in python3 -c "import pandas; pandas.\
                read_csv('\(path)'\(Path.suffix(path) == "tsv" ? ", sep='\\t'" : "")).to_json('texts.jsonl', \
                orient='records', lines=True, force_ascii=False)"
                """
            case "arrow", "feather":
                """
                write its texts as JSON lines first, as in python3 -c "import datasets; datasets.\
                Dataset.from_file('\(path)').to_json('texts.jsonl', force_ascii=False)"
                """
            case "gz", "zst": "call it by what is in it, as in .jsonl.gz or .txt.gz"
            default: "texts are called \(textKinds)"
            }
        return Self(.unsupported, "\(path): not known to be text; \(advice)")
    }

    /// The file is of a format that other programs unpack.
    static func packedText(path: String, format: String, advice: String) -> Self {
        Self(.unsupported, "\(path): it is \(format), which is not read; \(advice)")
    }

    /// A file is a packed one that is not whole, or is damaged.
    static func badPackedText(path: String, format: String, found: String) -> Self {
        Self(
            .malformed,
            "\(path): it is packed by \(format), and \(found); get the file again, or check it with \(format == "gzip" ? "gzip" : "zstd") -t"
        )
    }

    /// There is no room to unpack a file or to keep what came through a pipe.
    static func noRoomToUnpack(path: String, folder: String) -> Self {
        Self(
            .resources,
            """
            \(path): no room is left in \(folder), where it is unpacked while it is read; set TMPDIR to a folder with \
            room for it
            """)
    }

    /// The whole file is written in another encoding.
    static func otherEncoding(path: String, _ encoding: TextEncoding) -> Self {
        Self(
            .malformed,
            "\(path): it is \(encoding.description), and UTF-8 is expected; \(conversion(path, encoding))")
    }

    /// A line is not UTF-8 from one of its bytes on, which count from 0.
    package static func notUTF8(path: String, line: Int, byte: Int) -> Self {
        notUTF8(path: path, line: line, byte: byte, encoding: nil, isAlone: false)
    }

    /// The same, with what it looks like, and whether lines before it are UTF-8 with more than ASCII in it.
    static func notUTF8(
        path: String, line: Int, byte: Int, encoding: TextEncoding?, isAlone: Bool
    ) -> Self {
        let place = "\(path), line \(line): its byte \(byte) is not valid UTF-8"
        guard let encoding else { return Self(.malformed, "\(place); convert the file to UTF-8") }
        guard isAlone else {
            return Self(
                .malformed, "\(place): it looks like \(encoding.description); \(conversion(path, encoding))")
        }
        return Self(
            .malformed,
            """
            \(place): it looks like \(encoding.description), while lines before it are UTF-8; mend it (sed -n \(line)p \
            '\(path)' | iconv -f \(encoding.name) -t UTF-8 shows it), or pass over such lines with --skip-bad-lines
            """)
    }

    private static func conversion(_ path: String, _ encoding: TextEncoding) -> String {
        let name = Path.name(path)
        let parts = name.split(separator: ".", maxSplits: 1)
        let new = parts.count == 2 ? "\(parts[0]).utf8.\(parts[1])" : "\(name).utf8"
        switch path.hasSuffix(".gz") ? "gz" : Path.suffix(path) {
        case "gz": return "convert it: zcat '\(path)' | iconv -f \(encoding.name) -t UTF-8 | gzip > '\(new)'"
        case "zst":
            return "convert it: zstdcat '\(path)' | iconv -f \(encoding.name) -t UTF-8 | zstd > '\(new)'"
        default: return "convert it: iconv -f \(encoding.name) -t UTF-8 '\(path)' > '\(new)'"
        }
    }

    /// A line is not JSON.
    package static func notJSON(path: String, line: Int, reason: String) -> Self {
        Self(
            .malformed,
            """
            \(path), line \(line): it is not JSON: \(reason); expected one {"text": …} a line. --skip-bad-lines \
            passes over such lines
            """)
    }

    /// A file of JSON is one array, or one object over several lines.
    static func notLines(path: String, found: String, filter: String) -> Self {
        Self(
            .malformed,
            "\(path): it is \(found); expected one {\"text\": …} a line. Make it so: jq -c '\(filter)' '\(path)' > texts.jsonl"
        )
    }

    /// A line is JSON, but no object with a string under the key.
    package static func noText(path: String, line: Int, found: String, key: String = "text") -> Self {
        Self(
            .malformed,
            "\(path), line \(line): it is \(found); expected an object with a string \"\(key)\"\(advice(found, key))"
        )
    }

    private static func advice(_ found: String, _ key: String) -> String {
        let isChat = ["messages", "conversations", "conversation", "chosen"].contains { name in
            found.contains("keys \(name)") || found.contains(", \(name)")
        }
        if isChat {
            return ". Chats are not read: write each as one text first, by the model's chat template"
        }
        if found.contains("the keys") { return "; --text-key KEY names another" }
        return "; --skip-bad-lines passes over such lines"
    }

    /// A document has more bytes than can be read at once.
    package static func documentTooLong(path: String, line: Int, bytes: Int) -> Self {
        Self(
            .unsupported,
            "\(path), line \(line): a document of \(bytes) bytes is too long; divide it into documents below 2 GiB"
        )
    }

    /// A document that was checked is none any more.
    static func changedText(path: String, line: Int) -> Self {
        Self(
            .inconsistent,
            "\(path), line \(line): it has changed since it was checked; leave the file alone until the run is done"
        )
    }

    /// What can be read only once stands where a file is read again and again.
    package static func pipeInPlaceOfFile(path: String) -> Self {
        Self(
            .unsupported,
            "\(path == "-" ? "standard input" : path): it can be read only once, and parts of files are read by themselves; give a file"
        )
    }

    /// An output would replace what is read.
    package static func outputIsSource(path: String) -> Self {
        Self(.request, "\(path) is one of the files that are read; give the output another name")
    }

    /// An output lies where the files are looked for.
    package static func outputAmongSources(path: String, argument: String) -> Self {
        Self(
            .request,
            "\(path) lies in \(argument), which is read whole, so what is written would be read as well; give the output a place outside"
        )
    }

    /// A file is another than when the work began.
    package static func changedFile(path: String) -> Self {
        Self(
            .inconsistent,
            "\(path): it has changed since the work began; leave the file alone until it is done, and begin again"
        )
    }

    /// There is no text in any of the files.
    package static func noDocuments(paths: [String], skipped: String? = nil) -> Self {
        let why = skipped.map { ": all lines were passed over, the first since \($0)" } ?? ""
        return Self(
            .missing,
            "\(paths.joined(separator: ", ")): no text in it\(why); give files with at least one text")
    }

    /// A folder or pattern leads to no file of text.
    static func noFiles(argument: String, passedOver: [String]) -> Self {
        let others = passedOver.isEmpty ? "" : ", only \(passedOver.prefix(3).joined(separator: ", "))"
        return Self(.missing, "\(argument): no file of text is there\(others); texts are called \(textKinds)")
    }

    /// A model's folder stands where something else is expected, as behind an option that takes a list.
    package static func modelInPlaceOfText(path: String) -> Self {
        Self(
            .request,
            "\(path) is a model's folder where files of text or a list are expected; name the model before the options"
        )
    }

    /// Standard input can't be read as text.
    static func unusableStandardInput(reason: String, advice: String) -> Self {
        Self(.unsupported, "standard input: \(reason); \(advice)")
    }
}
