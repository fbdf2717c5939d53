# load.sh DEPARTMENT DAY: note which day was loaded, and by whom.
echo "$2 $WRITER" >> "$DEPARTMENTS/$1.txt"
