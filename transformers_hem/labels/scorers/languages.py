"""How an answer is stated, confirmed and denied in each language but English, whose finer rules are
in option_letters.py. A new language is one more row here.

All are regular expressions of text as `plain_text.plain` spells it, whatever the case.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Language:
    """`answer` and `link` are "answer" and "is": with a value behind them, or with a colon instead
    of the link, they state it. `says` are shorter ways, such as "it is". `label` may stand between
    them and a letter, `option` is what names an option by itself.

    After a letter, `right` confirms it, `refuted` denies it, `ends` ends the statement and `joined`
    names a second one. `denied`, before it in the same clause, denies it. `but` begins a clause.
    `spaced` is whether blanks part the words.
    """

    answer: str
    link: str
    says: str
    label: str
    option: str
    right: str
    refuted: str
    denied: str
    joined: str
    but: str
    ends: str = ""
    spaced: bool = True


LANGUAGES: Final[dict[str, Language]] = {
    "German": Language(
        answer=r"antwort(?:option|möglichkeit)?|lösung|option|aussage|ergebnis|richtig|korrekt",
        link=r"ist|lautet|wäre|heißt|heisst|muss|bleibt",
        says=r"(?:es|das|dies)\s(?:ist|wäre|muss)|sondern|daher|somit|folglich"
        r"|ich\s(?:wähle|nehme|tippe\sauf|denke|glaube|würde\s(?:sagen|wählen))",
        label=r"(?:(?:die|der)\s)?(?:antwort(?:möglichkeit|option)?|option|möglichkeit|buchstabe)?",
        option=r"antwort(?:möglichkeit|option)?|möglichkeit|aussage",
        right=r"(?:ist|wäre)\s(?!nicht|kein)(?:\w{1,20}\s){0,2}?(?:richtig|korrekt|zutreffend|antwort"
        r"|lösung)|stimmt(?!\snicht)|trifft\szu",
        refuted=r"(?:ist|wäre|sind|scheint)\s(?:\w{1,20}\s)?(?:nicht|falsch|inkorrekt|unzutreffend"
        r"|ausgeschlossen|kein)|stimmt\snicht|kann\s(?:es\s)?nicht|scheidet|trifft\snicht",
        denied=r"nicht|kein\w{0,2}|weder|noch|falsch\w{0,2}|wenn|falls|ob|statt|anstatt|außer",
        joined=r"oder|und|sowie|bzw\.?",
        but=r"sondern|aber|weil|denn|daher|somit|und|jedoch",
    ),
    "Spanish": Language(
        answer=r"respuesta|opci[óo]n|alternativa|letra|soluci[óo]n|resultado|correct[ao]|inciso",
        link=r"es|ser[íi]a|será|son|debe\sser|tiene\sque\sser|corresponde\sa",
        says=r"es|elijo|escojo|elegir[íi]a|marco|selecciono|sino|por\s(?:lo\s)?tanto,?",
        label=r"(?:(?:la|el|un)\s)?(?:opci[óo]n|letra|respuesta|alternativa|inciso|correcta)?",
        option=r"opci[óo]n|alternativa|inciso|letra",
        right=r"(?:es|ser[íi]a|está)\s(?!no\b)(?:\w{1,20}\s){0,2}?(?:correct|acertad|verdader|adecuad"
        r"|respuesta)",
        refuted=r"no\s(?:es|son|puede|ser[íi]a|está)|(?:es|son|está|ser[íi]a)\s(?:\w{1,20}\s)?"
        r"(?:incorrect|fals|err[óo]ne|equivocad)|queda\sdescartad",
        denied=r"no\s(?:es|son|era|fue|ser[íi]a|puede|debe|elijo|creo|la|el|hay)|ni|tampoco|nunca"
        r"|incorrect\w+|fals[ao]|err[óo]ne\w+|en\s(?:vez|lugar)\sde|excepto|si",
        joined=r"o|y|u|e",
        but=r"sino|pero|porque|ya\sque|por\slo\stanto|y",
    ),
    "French": Language(
        answer=r"r[ée]ponse|option|choix|solution|lettre|proposition|r[ée]sultat|bonne",
        link=r"est|serait|sera|sont|c['\u2019]est",
        says=r"c['\u2019]est|ce\sserait|il\ss['\u2019]agit\sde|je\s(?:choisis|dirais|opte\spour)"
        r"|donc|mais(?:\splut[ôo]t)?",
        label=r"(?:(?:la|le)\s|l['\u2019])?(?:r[ée]ponse|option|lettre|proposition|choix)?",
        option=r"r[ée]ponse|lettre|proposition|choix",
        right=r"(?:est|serait)\s(?!pas)(?:\w{1,20}\s){0,2}?(?:correct|just|vrai|exact|bon|r[ée]ponse)",
        refuted=r"n['\u2019](?:est|es|a)|ne\s(?:peut|sont|convient)|(?:est|sont|semble)\s"
        r"(?:\w{1,20}\s)?(?:faux|fausse|incorrect|erron|pas|inexact)",
        denied=r"n['\u2019]est|n['\u2019]est\spas|ne|pas|ni|jamais|faux|fausse|incorrecte?|si"
        r"|au\slieu\sde|plut[ôo]t\sque|sauf",
        joined=r"ou|et",
        but=r"mais|parce|car|donc|puisque|et",
    ),
    "Italian": Language(
        answer=r"risposta|opzione|soluzione|scelta|lettera|alternativa|risultato|corretta|giusta",
        link=r"è|e['\u2019]|sia|sarebbe|sarà|dev['\u2019]essere|deve\sessere|sono",
        says=r"è|e['\u2019]|scelgo|direi|bensì|ma|quindi|dunque|perciò|(?:penso|credo)\s(?:che\s)?sia",
        label=r"(?:(?:la|il)\s|l['\u2019])?(?:risposta|opzione|lettera|alternativa|scelta)?",
        option=r"risposta|opzione|lettera|alternativa",
        right=r"è\s(?!non)(?:\w{1,20}\s){0,2}?(?:corrett|giust|esatt|ver[ao]|risposta)",
        refuted=r"non\s(?:è|può|sono|sarebbe)|(?:è|sono)\s(?:\w{1,20}\s)?(?:errat|sbagliat|fals"
        r"|scorrett|incorrett)",
        denied=r"non|né|mai|fals[ao]|errat\w|sbagliat\w|scorrett\w|se\s(?:la|fosse)|invece\sdi|tranne",
        joined=r"o|e|oppure",
        but=r"ma|bensì|perché|poiché|quindi|e",
    ),
    "Portuguese": Language(
        answer=r"resposta|alternativa|op[çc][ãa]o|letra|gabarito|solu[çc][ãa]o|resultado|correta|certa",
        link=r"é|seria|será|são|deve\sser",
        says=r"é|escolho|marco|diria|mas|e\ssim|portanto,?",
        label=r"(?:[ao]\s)?(?:letra|alternativa|op[çc][ãa]o|resposta)?",
        option=r"alternativa|op[çc][ãa]o|letra",
        right=r"(?:é|está|seria)\s(?!não)(?:\w{1,20}\s){0,2}?(?:corret|cert|verdadeir|resposta|exat)",
        refuted=r"não\s(?:é|pode|está|são)|(?:é|está|são)\s(?:\w{1,20}\s)?(?:incorret|fals|errad)",
        denied=r"não|nem|nunca|incorret\w|fals[ao]|errad\w|em\svez\sde|exceto|se\s(?:a|fosse|for)",
        joined=r"ou|e",
        but=r"mas|porque|pois|portanto|e",
    ),
    "Russian": Language(
        answer=r"ответ\w{0,3}|вариант\w{0,3}|решени\w{1,2}|верн\w{1,3}|правильн\w{1,3}|результат\w{0,2}",
        link=r"это|будет|является|есть|[-\u2013\u2014]",
        says=r"это|выбираю|значит,?|следовательно,?|поэтому|а|но",
        label=r"(?:вариант\w?|ответ\w?|буква|пункт|под\sбуквой)?",
        option=r"вариант\w?|пункт\w?|буква",
        right=r"[-\u2013\u2014]?\s?(?:это\s|является\s)?(?:верн|правильн|подходит)",
        refuted=r"[-\u2013\u2014]?\s?(?:это\s)?(?:не\b|неверн|неправильн|ошибочн|ложн)",
        denied=r"не|ни|неверн\w+|неправильн\w+|ошибочн\w+|если|вместо|кроме",
        joined=r"или|и|либо",
        but=r"а|но|потому|так\sкак|поэтому|значит|и",
    ),
    "Chinese": Language(
        answer=r"答案|选项|選項|正确的|正確的|正解|选择|選擇|结果|結果|[故应應]该?[选選]",
        link=r"是|为|為|选|選",
        says=r"(?<![不还還])是|而是|[选選]|所以|因此",
        label=r"(?:选项|選項)?",
        option=r"选项|選項",
        right=r"[选選]?[项項]?\s?:?\s?才?[是为為]?(?:唯一|最)?(?:正确|正確|对的|對的|答案|正解|佳|符合)",
        refuted=r"[选選]?[项項]?\s?:?\s?(?:是|显然|顯然|都|均|也)?(?:不(?:正|对|對|是|符|成立|能|选|選)|[错錯]|有误|排除)",
        denied=r"不(?:是|选|選|能|应|應|会|會|可能|对|對|为|為)|[并並而]非|排除|[错錯][误誤]?|如果|若|假如|除了?",
        joined=r"和|与|與|或者?|还是|還是|及",
        but=r"而是|但是?|所以|因此|因[为為]|故",
        ends=r"[选選][项項]|[项項]|才|吧|正[确確]",
        spaced=False,
    ),
    "Japanese": Language(
        answer=r"答え|解答|回答|正解|正答|選択肢|結果",
        link=r"は|が",
        says=r"(?:では|じゃ)なくて?,?|よって,?|したがって,?|つまり,?",
        label=r"(?:選択肢)?",
        option=r"選択肢",
        right=r"(?:が|は|の方が)(?:最も)?(?:正解|正しい|答え|適切|正答)",
        refuted=r"(?:は|が|も)?(?:正解|正しい|答え)?(?:(?:では|じゃ)(?:な|あり)|間違|誤|不正解|不適|正しくな"
        r"|違[いう])",
        denied=r"もし|以外",
        joined=r"と|または|か|や|および",
        but=r"ので|から|しかし|だが|よって",
        ends=r"です|だ|である|が|でしょう|と|に|を",
        spaced=False,
    ),
    "Korean": Language(
        answer=r"정답|답|선택지|결과",
        link=r"은|는|이|가",
        says=r"아니라,?|아니고,?|따라서,?|그러므로,?|즉,?",
        label=r"(?:선택지|보기|바로)?",
        option=r"선택지|보기",
        right=r"번?(?:이|가|은|는)?\s?(?:정답|맞|옳|올바)",
        refuted=r"번?(?:이|가|은|는|도)?\s?(?:정답이\s?|답이\s?)?(?:아니|아닙|아닌|틀|오답|잘못|맞지\s?않"
        r"|옳지\s?않|정답이\s?될\s?수\s?없)",
        denied=r"만약",
        joined=r"와|과|또는|이나|나|및|하고|혹은",
        but=r"그러나|하지만|그래서|따라서|왜냐하면",
        ends=r"입니다|이다|예요|이에요|번|가|이|라고|임",
        spaced=False,
    ),
    "Arabic": Language(
        answer=r"[إا]جابة|جواب|خيار|حل|[إا]ختيار|نتيجة",
        link=r"هي|هو|يكون|تكون|ستكون",
        says=r"هي|هو|بل|[أا]ختار|إنها|إنه|لذلك",
        label=r"(?:ال)?(?:خيار|[إا]جابة|حرف)?",
        option=r"خيار|حرف",
        right=r"(?:هو\s|هي\s)?(?:ال)?(?:صحيح|صواب|[إا]جابة|جواب)",
        refuted=r"(?:هو\s|هي\s)?(?:خط[أا]|خاطئ|غير|ليس|لا\s)",
        denied=r"(?<!\w)(?:ليس|ليست|لا|غير|[إا]ذا|لو)(?!\w)",
        joined=r"[أا]و|و",
        but=r"(?<!\w)(?:بل|لكن|ل[أا]ن\w{0,2})(?!\w)",
        spaced=False,
    ),
    "Hindi": Language(
        answer=r"उत्तर|जवाब|विकल्प|हल|परिणाम",
        link=r"है|होगा",
        says=r"बल्कि|नहीं,?|इसलिए,?",
        label=r"(?:विकल्प)?",
        option=r"विकल्प",
        right=r"(?:ही\s)?(?:सही|उत्तर)(?!\sनहीं)",
        refuted=r"(?:सही\s)?(?:नहीं|गलत|ग़लत|न\sहोकर)",
        denied=r"यदि|अगर|गलत|ग़लत",
        joined=r"और|या|तथा",
        but=r"बल्कि|लेकिन|क्योंकि|इसलिए|परंतु",
        ends=r"है|होगा|सही",
        spaced=False,
    ),
}


def any_of(part: str) -> str:
    """One expression of that part of all languages."""
    rows = ((language, getattr(language, part)) for language in LANGUAGES.values())
    endings = part == "refuted"
    return "|".join(whole(language, words, endings) for language, words in rows if words)


def whole(language: Language, words: str, endings: bool = False) -> str:
    """`words` in that language, and not as parts of others; with `endings` they may have some."""
    if not language.spaced:
        return rf"(?:{words})"
    ending = r"\w{0,6}" if endings else ""
    return rf"(?<!\w)(?:{words}){ending}(?!\w)"
