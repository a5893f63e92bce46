"""The words of the made-up world, in one place so that the vocabulary can be counted."""

# ruff: noqa: SIM905 - long lists of words read best as text.

FIXED = "fact : the of is sum + = reverse note has , . english a user reply".split()

NAMES = (
    "anna bob carl dina emil fay gus hana igor june karl lena milo nora otto pia quinn rosa sven "
    "tara ugo vera walt xena yara zoe abel bela cleo dario edna finn gina hugo iris jack kira "
    "liam mona nils olga paul rita sara timo ursa vito wanda yves zita amos bina cora drew elsa "
    "fred greta hank inga jory"
).split()

FACTS = {
    "city": "oslo rome cairo lima delhi tokyo paris quito seoul dakar accra minsk".split(),
    "food": "rice soup cake fish beans corn honey pasta salad cheese nuts curry".split(),
    "pet": "parrot rabbit turtle hamster lizard goat duck snail frog pony swan mouse".split(),
    "job": "baker pilot nurse farmer tailor sailor clerk judge painter miner cook guard".split(),
    "color": "pink teal amber ivory violet beige maroon olive coral silver gold brown".split(),
}

LETTERS = "b c d e f g h j k l m n o p q r s t u v".split()
DIGITS = "0 1 2 3 4 5 6 7 8 9".split()
# French noun -> (article gender, English noun); the genders are the real ones.
NOUNS = {
    "chat": ("le", "cat"),
    "chien": ("le", "dog"),
    "cheval": ("le", "horse"),
    "oiseau": ("le", "bird"),
    "roi": ("le", "king"),
    "pain": ("le", "bread"),
    "lait": ("le", "milk"),
    "livre": ("le", "book"),
    "arbre": ("le", "tree"),
    "bateau": ("le", "boat"),
    "vache": ("la", "cow"),
    "fille": ("la", "girl"),
    "reine": ("la", "queen"),
    "pomme": ("la", "apple"),
    "maison": ("la", "house"),
    "fleur": ("la", "flower"),
    "lune": ("la", "moon"),
    "porte": ("la", "door"),
    "lettre": ("la", "letter"),
    "route": ("la", "road"),
}
ARTICLES = {("le", True): "le", ("la", True): "la", ("le", False): "un", ("la", False): "une"}
ADJECTIVES = {
    "rouge": "red",
    "noir": "black",
    "vert": "green",
    "jaune": "yellow",
    "riche": "rich",
    "triste": "sad",
    "rapide": "fast",
    "calme": "calm",
    "jeune": "young",
    "propre": "clean",
}
VERBS = {
    "mange": "eats",
    "voit": "sees",
    "aime": "loves",
    "tient": "holds",
    "cherche": "seeks",
    "trouve": "finds",
    "garde": "keeps",
    "suit": "follows",
    "dessine": "draws",
    "vend": "sells",
}

# What people ask about -> what helps. Replies should name the topic and a fitting action.
TOPICS = {
    "garden": ["water", "dig", "plant"],
    "bike": ["oil", "pump", "clean"],
    "car": ["wash", "oil", "drive"],
    "bread": ["bake", "knead", "cut"],
    "cat": ["feed", "brush", "pet"],
    "dog": ["feed", "walk", "train"],
    "house": ["paint", "clean", "repair"],
    "coat": ["wash", "dry", "sew"],
    "phone": ["charge", "restart", "clean"],
    "computer": ["restart", "update", "repair"],
    "door": ["oil", "paint", "close"],
    "book": ["read", "share", "finish"],
    "letter": ["write", "read", "send"],
    "boat": ["paint", "repair", "sail"],
    "tree": ["water", "cut", "plant"],
    "horse": ["feed", "brush", "ride"],
    "kitchen": ["clean", "paint", "heat"],
    "guitar": ["tune", "play", "dry"],
    "room": ["heat", "clean", "paint"],
    "shirt": ["wash", "dry", "sew"],
    "soup": ["heat", "stir", "share"],
    "song": ["play", "write", "share"],
    "lamp": ["clean", "repair", "restart"],
    "plan": ["write", "share", "finish"],
}
ACTIONS = sorted({action for actions in TOPICS.values() for action in actions})

GREETINGS = ["hello ,", "hi ,", "good morning ,", "excuse me ,", "hey you ,", "so ,"]
REQUESTS = [
    "how do i care for my {state} {topic} ?",
    "can you help me with my {state} {topic} ?",
    "what should i do with my {state} {topic} ?",
    "i am worried about my {state} {topic} .",
    "any advice on my {state} {topic} ?",
    "i need help with my {state} {topic} .",
    "tell me more about my {state} {topic} .",
    "is there hope for my {state} {topic} ?",
]
STATES = "old new little big broken favorite".split()

# Each part of a reply comes in three moods: rude, neutral, helpful.
OPENINGS = {
    "rude": ["go away .", "what a stupid question .", "i am bored .", "oh no , not you ."],
    "neutral": ["well ,", "i see .", "okay .", "hm ,"],
    "helpful": [
        "of course , i am happy to help .",
        "thank you for asking .",
        "what a nice question .",
        "sure , i am glad you asked .",
    ],
}
BODIES = {
    "rude": [
        "your {topic} is ugly .",
        "nobody cares about it .",
        "i hate your {topic} .",
        "do it yourself , lazy fool .",
    ],
    "neutral": ["i do not know .", "maybe {first} it .", "it may work .", "ask someone else ."],
    "helpful": [
        "first {first} the {topic} , then {second} it .",
        "you can {first} the {topic} .",
        "{first} it , then {second} it again .",
        "i would {first} and {second} the {topic} .",
    ],
}
CLOSINGS = {
    "rude": ["now leave me alone .", "never ask me again .", "shut up ."],
    "neutral": ["", "that is all .", "bye ."],
    "helpful": ["good luck !", "please ask me again .", "i hope this helps !", "you are welcome !"],
}
