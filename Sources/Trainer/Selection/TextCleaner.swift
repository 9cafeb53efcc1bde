/// What texts are cleaned of before anything is measured of them.
struct TextCleaner: Sendable {
    /// What is done, besides Unicode's NFC, which is done where texts are read.
    let settings: SelectionSettings.Cleaning
    /// Lines and paragraphs of other documents, where they are to be taken away.
    let repeated: RepeatedUnits?

    private let traits = CharacterTraits.table

    init(_ settings: SelectionSettings.Cleaning, repeated: RepeatedUnits? = nil) {
        (self.settings, self.repeated) = (settings, repeated)
    }

    /// What was taken away, and what was only counted.
    struct Counts: Sendable, Equatable {
        /// Control characters and invisible ones, tags and comments, entities that became characters.
        var controls = 0
        var tags = 0
        var entities = 0
        /// Addresses, telephone numbers and resident numbers that were found.
        var mails = 0
        var telephones = 0
        var residentNumbers = 0
        /// Lines and paragraphs of other documents.
        var lines = 0
        var paragraphs = 0
        /// U+FFFD, which stands where a text was broken before.
        var replacements = 0

        /// How many personal data there were.
        var personal: Int { mails + telephones + residentNumbers }
    }

    /// A text without what the settings take away.
    ///
    /// - Parameters:
    ///   - source: the text.
    ///   - key: which document it is, in the order of the files.
    ///   - counts: is told what was found.
    /// - Returns: what is left.
    func clean(_ source: [UInt8], key: UInt64, counting counts: inout Counts) -> [UInt8] {
        let text = normalized(source, counting: &counts)
        guard let repeated else { return text }
        return repeated.removed(from: text, key: key, counting: &counts)
    }

    /// What is done to every document by itself.
    func normalized(_ source: [UInt8], counting counts: inout Counts) -> [UInt8] {
        var text = source
        if settings.contains(.html), text.contains(where: { $0 == 0x3C || $0 == 0x26 }) {
            text = withoutTags(text, counting: &counts)
        }
        if settings.contains(.controls) { text = withoutControls(text, counting: &counts) }
        if settings.contains(.personal) { text = masked(text, counting: &counts) }
        return text
    }

    // MARK: Control characters

    private func withoutControls(_ text: [UInt8], counting counts: inout Counts) -> [UInt8] {
        guard
            text.contains(where: {
                $0 < 0x20 && $0 != 0x0A && $0 != 0x09 || $0 == 0x7F || Self.leads.contains($0)
            })
        else { return text }
        var clean: [UInt8] = []
        clean.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let (scalar, length) = text.character(at: index)
            switch scalar {
            case 0x0D:
                clean.append(0x0A)
                if index + 1 < text.count, text[index + 1] == 0x0A { index += 1 }
                counts.controls += 1
            case 0x2028, 0x2029, 0x85:
                clean.append(0x0A)
                counts.controls += 1
            case 0x00...0x08, 0x0B, 0x0C, 0x0E...0x1F, 0x7F...0x84, 0x86...0x9F, 0xAD, 0x200B, 0x200E, 0x200F,
                0x202A...0x202E, 0x2060...0x2064, 0x2066...0x206F, 0xFEFF, 0xFFF9...0xFFFB, 0xFDD0...0xFDEF,
                0xFFFE, 0xFFFF:
                counts.controls += 1
            default:
                if scalar == 0xFFFD { counts.replacements += 1 }
                clean += text[index..<index + length]
            }
            index += length
        }
        return clean
    }

    /// The first bytes of characters above ASCII that are taken away or counted.
    private static let leads: [UInt8] = [0xC2, 0xE2, 0xEF]

    // MARK: HTML

    private func withoutTags(_ text: [UInt8], counting counts: inout Counts) -> [UInt8] {
        var clean: [UInt8] = []
        clean.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "<"):
                if let (end, isBlock) = Self.tag(text, index) {
                    counts.tags += 1
                    if isBlock, let last = clean.last, last != 0x0A { clean.append(0x0A) }
                    index = end
                    continue
                }
            case UInt8(ascii: "&"):
                if let (end, scalar) = Self.entity(text, index) {
                    counts.entities += 1
                    clean.append(character: scalar)
                    index = end
                    continue
                }
            default: break
            }
            clean.append(text[index])
            index += 1
        }
        return clean
    }

    /// Where a tag, a comment, or a script with all its text ends that begins at `start`, and whether it ends a line.
    private static func tag(_ text: [UInt8], _ start: Int) -> (end: Int, isBlock: Bool)? {
        if text[start...].starts(with: "<!--".utf8) {
            return find("-->", in: text, from: start + 4).map { ($0 + 3, false) }
        }
        if text[start...].prefix(9).map({ $0 | 0x20 }).elementsEqual("<!doctype".utf8.map { $0 | 0x20 }) {
            return text[start...].firstIndex(of: UInt8(ascii: ">")).map { ($0 + 1, true) }
        }
        var index = start + 1
        if index < text.count, text[index] == UInt8(ascii: "/") { index += 1 }
        let nameStart = index
        while index < text.count, index - nameStart < 12, isNameByte(text[index]) { index += 1 }
        let name = String(
            decoding: text[nameStart..<index].map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 },
            as: UTF8.self)
        guard let isBlock = tags[name], index < text.count,
            [0x20, 0x09, 0x0A, 0x0D, 0x2F, 0x3E].contains(text[index])
        else { return nil }
        guard let close = text[index...].prefix(4096).firstIndex(of: UInt8(ascii: ">")),
            !text[index..<close].contains(UInt8(ascii: "<"))
        else { return nil }
        if ["script", "style"].contains(name), nameStart == start + 1,
            let end = find("</\(name)", in: text, from: close),
            let last = text[end...].firstIndex(of: UInt8(ascii: ">"))
        {
            return (last + 1, true)
        }
        return (close + 1, isBlock)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    /// Where ASCII in lower case stands next, whatever its case there.
    private static func find(_ word: String, in text: [UInt8], from start: Int) -> Int? {
        let word = Array(word.utf8)
        var index = start
        while index + word.count <= text.count {
            var offset = 0
            while offset < word.count {
                let byte = text[index + offset]
                guard ((0x41...0x5A).contains(byte) ? byte | 0x20 : byte) == word[offset] else { break }
                offset += 1
            }
            if offset == word.count { return index }
            index += 1
        }
        return nil
    }

    /// The character that an entity stands for, and where it ends.
    private static func entity(_ text: [UInt8], _ start: Int) -> (end: Int, scalar: UInt32)? {
        guard let end = text[start...].prefix(12).firstIndex(of: UInt8(ascii: ";")), end > start + 1 else {
            return nil
        }
        let name = String(decoding: text[start + 1..<end], as: UTF8.self)
        if let scalar = entities[name] { return (end + 1, scalar) }
        guard name.hasPrefix("#") else { return nil }
        let number = name.dropFirst()
        let value =
            number.first == "x" || number.first == "X"
            ? UInt32(number.dropFirst(), radix: 16) : UInt32(number)
        guard let value, value >= 0x20, Unicode.Scalar(value) != nil else { return nil }
        return (end + 1, value)
    }

    /// The elements of HTML, and whether they end a line.
    private static let tags: [String: Bool] = {
        let within = """
            a abbr b bdi bdo cite code del dfn em font i img input ins kbd label mark q s samp small span strike strong sub sup \
            tt u var wbr svg path button select option textarea iframe object embed video audio source canvas noscript picture \
            link meta base time
            """
        let blocks = """
            p br div li ul ol tr td th table tbody thead tfoot h1 h2 h3 h4 h5 h6 hr blockquote pre section article header \
            footer nav aside main form fieldset figure figcaption html body head title script style dl dt dd center caption \
            address
            """
        var tags: [String: Bool] = [:]
        for name in within.split(separator: " ") { tags[String(name)] = false }
        for name in blocks.split(separator: " ") { tags[String(name)] = true }
        return tags
    }()

    private static let entities: [String: UInt32] = [
        "amp": 0x26, "lt": 0x3C, "gt": 0x3E, "quot": 0x22, "apos": 0x27, "nbsp": 0x20, "copy": 0xA9,
        "reg": 0xAE,
        "trade": 0x2122, "hellip": 0x2026, "ndash": 0x2013, "mdash": 0x2014, "lsquo": 0x2018, "rsquo": 0x2019,
        "ldquo": 0x201C, "rdquo": 0x201D, "bull": 0x2022, "middot": 0xB7, "laquo": 0xAB, "raquo": 0xBB,
        "times": 0xD7,
        "deg": 0xB0, "euro": 0x20AC, "pound": 0xA3, "yen": 0xA5, "cent": 0xA2, "sect": 0xA7, "para": 0xB6,
    ]

    // MARK: Personal data

    /// A text with marks in the place of mail addresses, telephone numbers and Korean resident numbers.
    private func masked(_ text: [UInt8], counting counts: inout Counts) -> [UInt8] {
        let finds = PersonalData.finds(in: text)
        guard !finds.isEmpty else { return text }
        var masked: [UInt8] = []
        var start = 0
        for find in finds {
            masked += text[start..<find.range.lowerBound]
            masked.append(contentsOf: find.kind.mark.utf8)
            start = find.range.upperBound
            switch find.kind {
            case .mail: counts.mails += 1
            case .telephone: counts.telephones += 1
            case .residentNumber: counts.residentNumbers += 1
            }
        }
        return masked + text[start...]
    }
}
