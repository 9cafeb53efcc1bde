/// Mail addresses, telephone numbers and Korean resident registration numbers, found by their form.
enum PersonalData {
    /// What was found.
    enum Kind {
        case mail, telephone, residentNumber

        /// What stands in its place.
        var mark: String {
            switch self {
            case .mail: "[mail]"
            case .telephone: "[telephone]"
            case .residentNumber: "[resident number]"
            }
        }
    }

    /// All places, in order; none overlaps another.
    static func finds(in text: [UInt8]) -> [(range: Range<Int>, kind: Kind)] {
        var finds: [(range: Range<Int>, kind: Kind)] = []
        var (index, last) = (0, 0)
        while index < text.count {
            let byte = text[index]
            var found: (range: Range<Int>, kind: Kind)?
            if byte == UInt8(ascii: "@") {
                found = mail(text, index, from: last).map { ($0, .mail) }
            } else if isDigit(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "("),
                begins(text, index)
            {
                if let end = residentNumber(text, index) {
                    found = (index..<end, .residentNumber)
                } else if let end = telephone(text, index) {
                    found = (index..<end, .telephone)
                } else if isDigit(byte) {
                    // The rest of a long number begins nothing.
                    while index + 1 < text.count, isDigit(text[index + 1]) { index += 1 }
                }
            }
            if let found {
                finds.append(found)
                last = found.range.upperBound
                index = last
            } else {
                index += 1
            }
        }
        return finds
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isWord(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    /// Whether a number can begin here: not inside a word, a larger number, a path or a version.
    private static func begins(_ text: [UInt8], _ index: Int) -> Bool {
        guard index > 0 else { return true }
        let before = text[index - 1]
        return !isWord(before) && !"+-_./,=#&".utf8.contains(before)
    }

    /// Whether nothing follows that would make a number a part of something larger.
    private static func ends(_ text: [UInt8], _ index: Int) -> Bool {
        guard index < text.count else { return true }
        if isWord(text[index]) || text[index] == UInt8(ascii: "_") { return false }
        guard index + 1 < text.count else { return true }
        return !("-./,".utf8.contains(text[index]) && isDigit(text[index + 1]))
    }

    /// `local@domain.top`, of ASCII.
    private static func mail(_ text: [UInt8], _ sign: Int, from least: Int) -> Range<Int>? {
        var start = sign
        while start > least, isWord(text[start - 1]) || "._%+-".utf8.contains(text[start - 1]) { start -= 1 }
        while start < sign, !isWord(text[start]) { start += 1 }
        guard start < sign, sign - start <= 64, text[sign - 1] != UInt8(ascii: ".") else { return nil }
        var end = sign + 1
        var lastDot: Int?
        while end < text.count,
            isWord(text[end]) || text[end] == UInt8(ascii: "-") || text[end] == UInt8(ascii: ".")
        {
            if text[end] == UInt8(ascii: ".") {
                guard end > sign + 1, text[end - 1] != UInt8(ascii: ".") else { break }
                lastDot = end
            }
            end += 1
        }
        while end > sign + 1, !isWord(text[end - 1]) { end -= 1 }
        if let dot = lastDot, dot >= end { lastDot = text[sign + 1..<end].lastIndex(of: UInt8(ascii: ".")) }
        guard let lastDot, end - lastDot > 2,
            text[lastDot + 1..<end].allSatisfy({ isWord($0) && !isDigit($0) })
        else { return nil }
        return start..<end
    }

    /// Six digits that are a date, and seven of which the first tells century and sex.
    private static func residentNumber(_ text: [UInt8], _ start: Int) -> Int? {
        func digits(_ start: Int, _ count: Int) -> [Int]? {
            guard start + count <= text.count else { return nil }
            let part = text[start..<start + count]
            return part.allSatisfy(isDigit) ? part.map { Int($0) - 0x30 } : nil
        }
        guard let birth = digits(start, 6) else { return nil }
        var next = start + 6
        let isDivided = next < text.count && text[next] == UInt8(ascii: "-")
        if isDivided { next += 1 }
        guard let rest = digits(next, 7), ends(text, next + 7), (1...8).contains(rest[0]),
            (1...12).contains(birth[2] * 10 + birth[3]), (1...31).contains(birth[4] * 10 + birth[5])
        else { return nil }
        if !isDivided {
            // Any long number could be one; this check held for all until October 2020.
            let weights = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]
            let sum = zip(weights, birth + rest).reduce(0) { $0 + $1.0 * $1.1 }
            guard (11 - sum % 11) % 10 == rest[6] else { return nil }
        }
        return next + 7
    }

    /// Korean numbers, those of North America, and international ones that begin with a plus.
    private static func telephone(_ text: [UInt8], _ start: Int) -> Int? {
        var index = start
        let hasPlus = text[index] == UInt8(ascii: "+")
        if hasPlus { index += 1 }
        // Runs of digits, and what stands before each.
        var groups: [[UInt8]] = []
        var separators: [[UInt8]] = []
        var ends: [Int] = []
        while groups.count < 6 {
            let before = index
            while index < text.count, index - before < 2, " -.()".utf8.contains(text[index]) { index += 1 }
            let digits = index
            while index < text.count, isDigit(text[index]) { index += 1 }
            guard index > digits, index - digits <= 15, groups.isEmpty || digits > before else { break }
            groups.append(Array(text[digits..<index]))
            separators.append(Array(text[before..<digits]))
            ends.append(index)
        }
        guard !groups.isEmpty, separators[0].isEmpty || separators[0] == Array("(".utf8) else { return nil }
        for count in stride(from: groups.count, through: 1, by: -1)
        where self.ends(text, ends[count - 1])
            && isTelephone(Array(groups.prefix(count)), Array(separators.prefix(count)), hasPlus)
        {
            return ends[count - 1]
        }
        return nil
    }

    private static func isTelephone(_ groups: [[UInt8]], _ separators: [[UInt8]], _ hasPlus: Bool) -> Bool {
        let sizes = groups.map(\.count)
        let digits = groups.flatMap(\.self)
        if hasPlus {
            return (9...15).contains(digits.count) && sizes[0] <= 4
                || (11...13).contains(sizes[0]) && groups.count == 1
        }
        let first = String(decoding: groups[0], as: UTF8.self)
        let isMobile = ["010", "011", "016", "017", "018", "019"].contains(first)
        if groups.count == 1 {
            return (10...11).contains(digits.count) && digits.starts(with: "01".utf8)
                && "016789".utf8.contains(digits[2])
                && (digits.count == 11 || digits[2] != 0x30)
        }
        guard groups.count >= 3 || groups.count == 2 && isMobile else { return false }
        let marked = separators.dropFirst().allSatisfy { $0 != [0x20] }
        if isMobile {
            return groups.count == 3 && (3...4).contains(sizes[1]) && sizes[2] == 4 || sizes == [3, 8]
        }
        if groups.count == 3, marked || separators[0] == [0x28], (3...4).contains(sizes[1]), sizes[2] == 4,
            digits[0] == 0x30
        {
            return first == "02" || first == "070" || first == "080" || first.hasPrefix("050")
                || sizes[0] == 3 && (0x33...0x36).contains(digits[1]) && (0x31...0x35).contains(digits[2])
        }
        // 2xx-2xx-xxxx, with the country's 1 or without.
        let local = groups.count == 4 && groups[0] == [0x31] ? Array(groups.dropFirst()) : groups
        return local.map(\.count) == [3, 3, 4] && local[0][0] >= 0x32 && local[1][0] >= 0x32
            && (marked || separators.contains { $0.contains(0x28) || $0.contains(0x29) })
    }
}
