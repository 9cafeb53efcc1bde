import Foundation
import TestSupport
import Testing

@testable import Formats

/// Text as people have it: other encodings, packed, broken in places, and where it lies.
@Suite("Text as it is in the wild")
struct WildTextTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Two lines, packed by `zstd` 1.5.4 and by Python's `gzip`, of {"text":"a good text"} and {"text":"second"}.
    private static let zstandard =
        "KLUv/SQpSQEAeyJ0ZXh0IjoiYSBnb29kIHRleHQifQp7InRleHQiOiJzZWNvbmQifQpaJOWf"
    private static let gzip =
        "H4sIAB59CmsC/6tWKkmtKFGyUkpUSM/PT1EA82q5qmHCxanJ+XkpQBEA50FcZCkAAAA="

    private static func bytes(_ base64: String) throws -> [UInt8] {
        [UInt8](try #require(Data(base64Encoded: base64)))
    }

    private func index(_ options: TextOptions = TextOptions(), _ paths: String...) throws(UserFacingError)
        -> DocumentIndex
    {
        try DocumentIndex(paths: paths.map { folder.path($0) }, options: options)
    }

    private func texts(_ index: DocumentIndex) throws(UserFacingError) -> [String] {
        var texts: [String] = []
        for document in 0..<index.count { texts.append(try index.text(document)) }
        return texts
    }

    private func texts(of paths: String..., options: TextOptions = TextOptions()) throws -> [String] {
        try texts(DocumentIndex(paths: paths.map { folder.path($0) }, options: options))
    }

    private func refusal(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        let path = try folder.write(name, bytes)
        let error = try #require(throws: UserFacingError.self) { try DocumentIndex(path: path) }
        #expect(error.fault == .input && error.message.contains(path))
        // The reader in order says the same.
        let other = #expect(throws: UserFacingError.self) {
            var findings = TextFindings()
            try Documents(paths: [path]).forEachBatch { batch throws(UserFacingError) in
                for part in batch.parts.indices { _ = try batch.text(part, noting: &findings) }
            }
        }
        #expect(other == error)
        return error.message
    }

    // MARK: Both kinds of file

    @Test func aByteOrderMarkIsNoText() throws {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        try folder.write("bom.txt", mark + Array("a good text\n".utf8))
        try folder.write(
            "bom.jsonl", mark + Array("{\"text\":\"a\"}\n".utf8) + mark + Array("{\"text\":\"b\"}".utf8))
        #expect(try texts(of: "bom.txt") == ["a good text\n"])
        #expect(try texts(of: "bom.jsonl") == ["a", "b"])
        #expect(try index(TextOptions(), "bom.txt").findings.byteOrderMarks == 1)
        try folder.write("inside.jsonl", "{\"text\":\"\\ufeffa\"}")
        #expect(try texts(of: "inside.jsonl") == ["a"])
    }

    @Test func linesOfFilesEndInALineFeed() throws {
        try folder.write("crlf.txt", "one\r\ntwo\r\n\rthree\n")
        #expect(try texts(of: "crlf.txt") == ["one\ntwo\n\rthree\n"])
        #expect(try index(TextOptions(), "crlf.txt").findings.carriageReturns == 2)
        // What a string of JSON says is the text.
        try folder.write("crlf.jsonl", "{\"text\":\"one\"}\r\n{\"text\":\"a\\r\\nb\"}\r\n")
        #expect(try texts(of: "crlf.jsonl") == ["one", "a\r\nb"])
    }

    @Test func onlyTheKeyOfTheTextIsRead() throws {
        for line in [
            #"{"title":"\udcb2","text": "fine"}"#, #"{"score": NaN, "text": "fine"}"#,
            #"{"a":[{"b":-Infinity},"\ud800\"",{}],"text":"fine","n":-1.5e3}"#,
            #"{"\udcb2":1,"te\u0078t":"fine"}"#,
        ] {
            try folder.write("a.jsonl", line)
            #expect(try texts(of: "a.jsonl") == ["fine"], "\(line)")
        }
    }

    @Test(arguments: [
        (#"{"text": null}"#, "an object whose \"text\" is null; expected an object with a string \"text\""),
        (#"{"text": 5}"#, "\"text\" is the number 5"), (#"{"text": NaN}"#, "\"text\" is "),
        (#"{"text": ["a"]}"#, "\"text\" is "), (#"{"text": {"a": 1}}"#, "\"text\" is an object"),
        (#"{"text":"a","text":"b"}"#, "\"text\" stands twice"),
        (#"{"text":"a\udcb2"}"#, "half a surrogate pair, \\udcb2"),
        (#"{"messages":[]}"#, "Chats are not read"), (#"{"body":"x"}"#, "--text-key KEY names another"),
        (#"{"text":"a" "b":1}"#, "it is not JSON"),
        (#"{"text":"a"}, {"text":"b"}"#, "nothing after the object"),
        (#"{"text":"a", "b": nul}"#, "it is not JSON"), (#"{"text":"a", "b": "x"#, "it is not JSON"),
    ])
    func saysWhatALineIs(_ line: String, _ words: String) throws {
        let message = try refusal("a.jsonl", Array("{\"text\":\"first\"}\n\(line)\n".utf8))
        #expect(message.contains("line 2: it is ") && message.contains(words), "\(message)")
    }

    @Test func otherKeysAreNamed() throws {
        try folder.write("a.jsonl", #"{"data":{"body":"inner"},"data.body":"outer","content":"c"}"#)
        #expect(try texts(of: "a.jsonl", options: TextOptions(textKey: "content")) == ["c"])
        #expect(try texts(of: "a.jsonl", options: TextOptions(textKey: "data.body")) == ["outer"])
        try folder.write("b.jsonl", #"{"data":{"body":"inner"}}"#)
        #expect(try texts(of: "b.jsonl", options: TextOptions(textKey: "data.body")) == ["inner"])
        try folder.write("c.jsonl", #"{"data":7}"#)
        let error = #expect(throws: UserFacingError.self) {
            try index(TextOptions(textKey: "data.body"), "c.jsonl")
        }
        #expect(error?.message.contains("\"data\" is no object") == true)
    }

    @Test func badLinesArePassedOverAndCounted() throws {
        let broken: [UInt8] = Array("{\"text\":\"".utf8) + [0xC7, 0xD1, 0xB1, 0xDB] + Array("\"}\n".utf8)
        try folder.write(
            "a.jsonl",
            Array("{\"text\":\"ok 한글\"}\nnot json\n{\"text\": null}\n".utf8) + broken
                + Array("{\"text\":\"ok2\"}\n".utf8))
        let index = try index(TextOptions(skipsBadLines: true), "a.jsonl")
        #expect(try texts(index) == ["ok 한글", "ok2"])
        #expect(index.findings.skippedLines == 3)
        #expect(index.findings.firstSkipped?.contains("line 2: it is not JSON") == true)
        try folder.write("b.txt", Array("one 한글\n".utf8) + [0xC7, 0xD1, 0x0A] + Array("two\n".utf8))
        #expect(try texts(of: "b.txt", options: TextOptions(skipsBadLines: true)) == ["one 한글\ntwo\n"])
        try folder.write("c.jsonl", "nothing\n")
        let error = #expect(throws: UserFacingError.self) {
            try self.index(TextOptions(skipsBadLines: true), "c.jsonl")
        }
        #expect(error?.message.contains("all lines were passed over") == true)
    }

    // MARK: Encodings

    private static let korean = "한국어 문서를 읽는 사람들이 있다\n둘째 줄\n"

    @Test func utf16IsNamedWithWhatToDo() throws {
        for (encoding, name) in [
            (String.Encoding.utf16, "UTF-16"), (.utf16LittleEndian, "UTF-16LE"),
            (.utf16BigEndian, "UTF-16BE"),
            (.utf32LittleEndian, "UTF-32LE"),
        ] {
            for text in [Self.korean, "Plain text.\n"] {
                let data = try #require(text.data(using: encoding))
                let message = try refusal("a.txt", data)
                #expect(
                    message.contains("it is \(name)") && message.contains("iconv -f \(name) -t UTF-8"),
                    "\(message)")
            }
        }
        try folder.write("nul.txt", "abc\0def\n")
        #expect(try texts(of: "nul.txt") == ["abc\0def\n"])
        #expect(try index(TextOptions(), "nul.txt").findings.nulCharacters == 1)
    }

    /// The bytes were made with Python's codecs.
    @Test(
        arguments: [
            // 한국어 문서 in cp949.
            ([0xC7, 0xD1, 0xB1, 0xB9, 0xBE, 0xEE, 0x20, 0xB9, 0xAE, 0xBC, 0xAD], "CP949"),
            // これは日本 in shift_jis and euc_jp.
            ([0x82, 0xB1, 0x82, 0xEA, 0x82, 0xCD, 0x93, 0xFA, 0x96, 0x7B], "SHIFT_JIS"),
            ([0xA4, 0xB3, 0xA4, 0xEC, 0xA4, 0xCF, 0xC6, 0xFC, 0xCB, 0xDC], "EUC-JP"),
            // 这是一个中文文本 in gbk.
            (
                [
                    0xD5, 0xE2, 0xCA, 0xC7, 0xD2, 0xBB, 0xB8, 0xF6, 0xD6, 0xD0, 0xCE, 0xC4, 0xCE, 0xC4, 0xB1,
                    0xBE,
                ],
                "GB18030"
            ),
            // élèves à l'école in latin-1.
            (
                [
                    0xE9, 0x6C, 0xE8, 0x76, 0x65, 0x73, 0x20, 0xE0, 0x20, 0x6C, 0x27, 0xE9, 0x63, 0x6F, 0x6C,
                    0x65,
                ],
                "WINDOWS-1252"
            ),
        ] as [([UInt8], String)])
    func otherEncodingsAreNamedWithWhatToDo(_ bytes: [UInt8], _ name: String) throws {
        for message in [
            try refusal("a.txt", bytes + [0x0A]),
            try refusal("a.jsonl", Array("{\"text\":\"".utf8) + bytes + Array("\"}\n".utf8)),
        ] {
            #expect(message.contains("iconv -f \(name) -t UTF-8"), "\(message)")
            #expect(message.contains("line 1: its byte "), "\(message)")
        }
    }

    @Test func aLineInAnotherEncodingIsNamedAlone() throws {
        let line: [UInt8] = Array("{\"text\":\"".utf8) + [0xC7, 0xD1, 0xB1, 0xB9] + Array("\"}\n".utf8)
        let message = try refusal("a.jsonl", Array("{\"text\":\"한글\"}\n".utf8) + line)
        #expect(message.contains("line 2: its byte 9") && message.contains("while lines before it are UTF-8"))
        #expect(message.contains("--skip-bad-lines"))
    }

    // MARK: Hangul in parts

    @Test func hangulInPartsIsCountedAndComposed() throws {
        let parts = "\u{1112}\u{1161}\u{11AB}\u{1100}\u{116E}\u{11A8} 한\u{1109}\u{116E} \u{AC00}\u{11A8}ㅋㅋ"
        try folder.write("nfd.jsonl", (["text": .string(parts)] as JSON).serialized(indent: nil))
        try folder.write("nfd.txt", parts)
        for name in ["nfd.jsonl", "nfd.txt"] {
            #expect(try index(TextOptions(), name).findings.decomposedHangul == 4)
            #expect(try Array(texts(of: name)[0].unicodeScalars) == Array(parts.unicodeScalars))
            let composed = try index(TextOptions(composes: true), name)
            #expect(composed.findings.composedHangul == 4)
            #expect(try Array(texts(composed)[0].unicodeScalars) == Array("한국 한수 각ㅋㅋ".unicodeScalars))
        }
    }

    @Test func learningCountsWhatItFinds() throws {
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/llama3")
        let special = try #require(tokenizer.addedTokens.control.tokens.first?.content)
        try folder.write(
            "nfd.txt", String(repeating: "\u{1112}\u{1161}\u{11AB} ab \(special) cd\r\n", count: 50))
        try folder.write("b.jsonl", "bad\n{\"text\":\"ab ab\"}\n")
        let learned = try tokenizer.learning(
            1, from: Documents(paths: [folder.path], options: TextOptions(skipsBadLines: true)), threads: 3)
        #expect(learned.findings.decomposedHangul == 50 && learned.findings.controlTokens == [special: 50])
        #expect(learned.findings.carriageReturns == 50 && learned.findings.skippedLines == 1)
        let warnings = learned.findings.warnings(for: tokenizer).joined(separator: "\n")
        for words in ["1 line passed over", "50 Hangul syllables in parts", "--nfc composes", "--plain-text"]
        {
            #expect(warnings.contains(words), "\(warnings)")
        }
    }

    // MARK: Packed files

    @Test func packedFilesAreRead() throws {
        let (gzip, zstandard) = (try Self.bytes(Self.gzip), try Self.bytes(Self.zstandard))
        let both = ["a good text", "second"]
        try folder.write("a.jsonl.gz", gzip)
        try folder.write("b.jsonl.gz", gzip + gzip)
        try folder.write("c.jsonl.gz", gzip + [UInt8](repeating: 0, count: 512))
        try folder.write("a.jsonl.zst", zstandard)
        try folder.write("b.ndjson.zst", zstandard + zstandard)
        // What a browser unpacked keeps its name; what is packed may lack it.
        try folder.write("d.jsonl.gz", "{\"text\":\"plain\"}")
        try folder.write("e.jsonl", gzip)
        try folder.write("f.json.gz", gzip)
        #expect(try texts(of: "a.jsonl.gz") == both && texts(of: "b.jsonl.gz") == both + both)
        #expect(try texts(of: "c.jsonl.gz") == both && texts(of: "a.jsonl.zst") == both)
        #expect(try texts(of: "b.ndjson.zst") == both + both && texts(of: "d.jsonl.gz") == ["plain"])
        #expect(try texts(of: "e.jsonl") == both && texts(of: "f.json.gz") == both)
        try folder.write("g.txt.gz", gzip)
        #expect(try texts(of: "g.txt.gz") == ["{\"text\":\"a good text\"}\n{\"text\":\"second\"}\n"])
    }

    @Test func whatIsCutOffOrDamagedIsNamed() throws {
        let (gzip, zstandard) = (try Self.bytes(Self.gzip), try Self.bytes(Self.zstandard))
        for count in [11, 20, gzip.count - 9, gzip.count - 1] {
            #expect(try refusal("a.jsonl.gz", gzip.prefix(count)).contains("cut off after \(count) bytes"))
        }
        for count in [5, 20, zstandard.count - 1] {
            #expect(
                try refusal("a.jsonl.zst", zstandard.prefix(count)).contains("cut off after \(count) bytes"))
        }
        #expect(try refusal("a.jsonl.gz", gzip + gzip.prefix(30)).contains("cut off"))
        // The head of a frame with a window of 256 MiB, and an empty block.
        let long: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x90, 0x01, 0x00, 0x00]
        #expect(try refusal("a.jsonl.zst", long).contains("zstd -dc --long=31"))
        var damaged = gzip
        damaged[gzip.count - 6] ^= 1
        #expect(try refusal("a.jsonl.gz", damaged).contains("it is damaged near byte"))
        damaged = zstandard
        damaged[zstandard.count - 2] ^= 1
        #expect(try refusal("a.jsonl.zst", damaged).contains("can't be unpacked"))
    }

    @Test(arguments: [
        ("a.parquet", "PAR1....PAR1", "the file is damaged"), ("a.jsonl", "PARE....PARE", "encrypted"),
        ("a.csv", "a,b\n", "read_csv("), ("a.jsonl", "[{\"text\":\"a\"}]", "jq -c '.[]'"),
        ("a.json", " [\n{\"text\":\"a\"}]", "jq -c '.[]'"),
        ("a.json", "{\n \"text\": \"a\"\n}\n", "jq -c '.'"),
        ("a.jsonl.bz2", "BZh91AY&SY", "bzcat"), ("a.zip", "PK\u{3}\u{4}", "unzip -p"),
        ("a.jsonl", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.md", "# text", "texts are called .jsonl"), ("texts.gz", "text", "call it by what is in it"),
    ])
    func whatIsNoTextIsRefusedWithWhatToDo(_ name: String, _ content: String, _ words: String) throws {
        let path = try folder.write(name, content)
        let error = #expect(throws: UserFacingError.self) {
            if TextFile.kind(ofName: path) == nil { _ = try TextFile(path: path) }
            _ = try DocumentIndex(path: path)
        }
        #expect(
            error?.message.contains(words) == true && error?.fault == .input, "\(String(describing: error))")
    }

    // MARK: Where texts lie

    @Test func foldersAndPatternsAreTheirFiles() throws {
        for name in ["d", "d/sub", "d/.git", "empty"] { try folder.makeFolder(name) }
        for (name, text) in [("p10", "10"), ("p2", "2"), ("sub/s", "s"), (".hidden", "no"), (".git/g", "no")]
        {
            try folder.write("d/\(name).jsonl", "{\"text\":\"\(text)\"}\n")
        }
        try folder.write("d/README.md", "no text")
        try folder.write("d/none.txt", "")
        let manager = FileManager.default
        try manager.createSymbolicLink(
            atPath: folder.path("d/sub/loop"), withDestinationPath: folder.path("d"))
        try manager.createSymbolicLink(
            atPath: folder.path("d/z.jsonl"), withDestinationPath: folder.path("d/p2.jsonl"))
        let whole = try index(TextOptions(), "d")
        #expect(try texts(whole) == ["2", "10", "s"])
        #expect(whole.findings.passedOver == [folder.path("d/README.md")])
        #expect(whole.findings.repeated == [folder.path("d/z.jsonl")])
        #expect(try texts(of: "d/p*.jsonl") == ["2", "10"] && texts(of: "d/p?.js*") == ["2"])
        #expect(try texts(of: "d/**/[sp]*.jsonl") == ["2", "10", "s"])
        #expect(try texts(of: "d/p2.jsonl", "d/*.jsonl") == ["2", "10"])
        try folder.write("a[1]*.jsonl", "{\"text\":\"literal\"}")
        #expect(try texts(of: "a[1]*.jsonl") == ["literal"])
        for name in ["empty", "d/q*.jsonl", "**/*.ndjson"] {
            let error = #expect(throws: UserFacingError.self) { try index(TextOptions(), name) }
            #expect(error?.message.contains("no file of text is there") == true, "\(name)")
        }
        #expect(throws: UserFacingError.self) { try index(TextOptions(), "missing.jsonl") }
        try manager.createSymbolicLink(atPath: folder.path("d/lost.jsonl"), withDestinationPath: "nowhere")
        let lost = #expect(throws: UserFacingError.self) { try index(TextOptions(), "d") }
        #expect(lost?.message.contains("d/lost.jsonl") == true)
    }

    @Test func aFolderHasMoreFilesThanMayBeOpen() throws {
        try folder.makeFolder("many")
        for number in 0..<1_100 { try folder.write("many/\(number).jsonl", "{\"text\":\"\(number)\"}") }
        let index = try index(TextOptions(), "many")
        #expect(index.count == 1_100)
        #expect(try index.text(1_099) == "1099")
    }

    @Test func aModelIsNoText() throws {
        for name in ["config.json", "tokenizer.json"] { try folder.write(name, "{}") }
        let error = #expect(throws: UserFacingError.self) { try DocumentIndex(path: folder.path) }
        #expect(error == .modelInPlaceOfText(path: folder.path))
    }

    /// The content is known by its documents, however they lie.
    @Test func contentIsKnownWhereverItLies() throws {
        try folder.write("a.jsonl", "{\"text\":\"a good text\"}\n{\"text\":\"second\"}\n")
        try folder.write("b.jsonl.zst", Self.bytes(Self.zstandard))
        try folder.write("c.jsonl", "{\"text\":\"a good textsecond\"}")
        let sums = try ["a.jsonl", "b.jsonl.zst", "c.jsonl"].map { try index(TextOptions(), $0).sha256 }
        #expect(sums[0] == sums[1] && sums[0] != sums[2])
        #expect(try index(TextOptions(), "a.jsonl").byteCount == 17)
    }

    /// A long `.txt` is read in parts that carry what belongs to one document.
    @Test func longTextIsOneDocument() throws {
        let text = "\u{FEFF}" + String(repeating: "a line\r\n", count: 170_000)
        try folder.write("long.txt", text)
        let index = try index(TextOptions(), "long.txt")
        #expect(index.count == 1 && index.findings.carriageReturns == 170_000)
        #expect(try index.text(0).utf8.count == 7 * 170_000)
        #expect(index.byteCount == 7 * 170_000)
    }
}
